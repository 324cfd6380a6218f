"""One request to an OpenAI-compatible chat endpoint, and what its failures mean."""

from __future__ import annotations

import asyncio
import email.utils
import time
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cia.dataset.teacher.lesson import Lesson, response_format
from cia.errors import OperationError
from cia.settings import TeacherSettings

LONGEST_PAUSE = 300.0
"""Seconds. An endpoint that wants a longer one is not asked again in this run."""


class TryAgain(Exception):
    """A failure that may pass. ``after`` is the pause that the endpoint wants, in seconds; ``billed`` whether it may cost."""

    def __init__(self, why: str, after: float | None = None, billed: bool = False) -> None:
        super().__init__(why)
        self.after = after
        self.billed = billed


class Refused(Exception):
    """The endpoint will never answer this request."""


class NobodyAnswers(OperationError):
    """The endpoint would answer no request: a wrong key, a wrong name, or a pause that is too long to wait for."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    content: str | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(extra="ignore")
    message: _Message


class _Usage(BaseModel):
    model_config = ConfigDict(extra="ignore")
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class _Completion(BaseModel):
    model_config = ConfigDict(extra="ignore")
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply's text and its token counts, None where the endpoint does not tell."""

    text: str
    tokens: tuple[int, int] | None


class Endpoint:
    """Asks for guided JSON until the endpoint turns out not to have it."""

    def __init__(self, settings: TeacherSettings, api_key: str) -> None:
        self._settings = settings
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        limits = httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        url = str(settings.base_url).rstrip("/")
        self._client = httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=None)
        self._guided = True

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def ask(self, lesson: Lesson) -> Completion:
        """Return the reply. Raises TryAgain, Refused or NobodyAnswers."""
        guided = self._guided
        try:
            # httpx's own timeouts start anew with every byte: a reply that drips would never end.
            async with asyncio.timeout(self._settings.timeout_seconds):
                response = await self._client.post("/chat/completions", json=self._request(lesson, guided))
        except TimeoutError:
            raise TryAgain("it did not answer in time", billed=True) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise TryAgain(f"it cannot be reached ({type(error).__name__})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TryAgain(f"it broke off ({type(error).__name__})", billed=True) from None
        if response.status_code in (400, 422) and guided:
            self._guided = False
            raise TryAgain("it refused guided JSON", after=0.0)
        self._raise_for(response)
        try:
            completion = _Completion.model_validate_json(response.content)
        except ValidationError:
            raise TryAgain("its reply is no chat completion", billed=True) from None
        usage = completion.usage
        return Completion(
            completion.choices[0].message.content or "", (usage.prompt_tokens, usage.completion_tokens) if usage else None
        )

    def _request(self, lesson: Lesson, guided: bool) -> dict[str, Any]:
        return {
            "model": self._settings.model,
            "messages": lesson.messages,
            "temperature": 0,
            "max_tokens": self._settings.answer_tokens,
            **({"response_format": response_format()} if guided else {}),
        }

    def _raise_for(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 429 or status >= 500 or status == 408:
            after = retry_after(response.headers.get("retry-after", ""))
            if after is not None and after > LONGEST_PAUSE:
                raise NobodyAnswers(f"the teacher wants a pause of {after:.0f} s; run the same command again after it")
            raise TryAgain(f"it answered with status {status}", after)
        if status in (401, 402, 403, 404):
            raise NobodyAnswers(
                f"the teacher at {self._settings.base_url} refused with status {status}; check dataset.teacher.base_url, its"
                f" model, and the key in {self._settings.api_key_variable}"
            )
        if status != 200:
            raise Refused(f"it answered with status {status}")


def retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After header means (RFC 9110, 10.2.3: seconds or a date), None when it is neither."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
