"""One streamed question to an OpenAI-compatible server or to ``/v1/ask``, timed, and told honestly when it failed.

An answer counts only when it came whole: an error status, an ``error`` event, a cut connection and a stream without its end
are errors, and never fast answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cia.errors import InputError, UnavailableError

if TYPE_CHECKING:
    import aiohttp

ASK = "/v1/ask"
COMPLETIONS = "/chat/completions"
LIST_SECONDS = 10.0


class Reading(Protocol):
    """What has been read of one stream."""

    tokens: int
    model: str
    error: str
    ended: bool

    def take(self, name: str, data: str, /) -> bool:
        """Take in an event; return whether it holds text of the answer."""


@dataclass(slots=True)
class CompletionReading:
    """The events of ``POST /v1/chat/completions``. Their ``usage`` counts the tokens, else each text counts as one."""

    tokens: int = 0
    model: str = ""
    error: str = ""
    ended: bool = False

    def take(self, _name: str, data: str, /) -> bool:
        """See ``Reading``."""
        if data == "[DONE]":
            self.ended = True
            return False
        event = json.loads(data)
        if "error" in event:
            self.error = "error event"
            return False
        self.model = event.get("model") or self.model
        text = any(choice["delta"].get("content") for choice in event.get("choices") or ())
        self.tokens = (event.get("usage") or {}).get("completion_tokens") or self.tokens + text
        return text


@dataclass(slots=True)
class AskReading:
    """The events of ``POST /v1/ask``. A quotation comes whole in its last event, from the model "none"."""

    tokens: int = 0
    model: str = ""
    error: str = ""
    ended: bool = False

    def take(self, name: str, data: str, /) -> bool:
        """See ``Reading``."""
        match name:
            case "token":
                return True
            case "answer":
                answer = json.loads(data)
                self.model, self.ended = answer["model"], True
                self.tokens = (answer.get("usage") or {}).get("completion_tokens", 0)
                return True
            case "error":
                self.error = f"error event ({json.loads(data)['error']['type']})"
        return False


@dataclass(frozen=True, slots=True)
class Target:
    """Where questions go, and how they are put there."""

    url: str
    body: Callable[[str], dict[str, Any]]
    reading: Callable[[], Reading]
    key: str = field(default="", repr=False)


@dataclass(slots=True)
class Outcome:
    """What became of a request, in seconds of ``time.perf_counter``. ``error`` is "" for a whole answer.

    ``due`` is when it should have been sent, ``texts`` when each piece of the answer came.
    """

    due: float
    sent: float
    ended: float = 0.0
    texts: list[float] = field(default_factory=list)
    tokens: int = 0
    model: str = ""
    error: str = ""

    @property
    def to_first_token(self) -> float:
        """Seconds from when it was due to its first text."""
        return self.texts[0] - self.due

    @property
    def latency(self) -> float:
        """Seconds from when it was due to its end."""
        return self.ended - self.due

    @property
    def between_tokens(self) -> list[float]:
        """Seconds between one text and the next; with speculative decoding a text may hold several tokens."""
        return [after - before for before, after in zip(self.texts, self.texts[1:], strict=False)]


def parse_target(address: str, model: str | None, answer_tokens: int, key: str = "") -> Target:
    """Return the target at ``address``, which ends in ``/v1`` (OpenAI-compatible) or in ``/v1/ask``.

    An OpenAI-compatible server is asked for ``model``; None: for the first that it lists. Raises InputError for any other
    address, UnavailableError when the models have to be listed and are not.
    """
    address = address.rstrip("/").removesuffix(COMPLETIONS)
    if address.startswith(("http://", "https://")) and address.endswith(ASK):
        return Target(address, lambda question: {"question": question, "stream": True}, AskReading, key)
    if address.startswith(("http://", "https://")) and address.endswith("/v1"):
        chosen = model or _first_model(address, key)

        def body(question: str) -> dict[str, Any]:
            return {
                "model": chosen,
                "messages": [{"role": "user", "content": question}],
                "max_tokens": answer_tokens,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            }

        return Target(f"{address}{COMPLETIONS}", body, CompletionReading, key)
    raise InputError(f"{address} is no address to load; it ends in /v1 (an OpenAI-compatible server) or in /v1/ask")


def _first_model(address: str, key: str) -> str:
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        models = httpx.get(f"{address}/models", headers=headers, timeout=LIST_SECONDS).raise_for_status().json()["data"]
        return str(models[0]["id"])
    except httpx.HTTPStatusError as error:
        raise UnavailableError(f"{address} answers {error.response.status_code} to /models; is the key right?") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError):
        raise UnavailableError(f"no server lists its models at {address}; look at the address, or say which --model") from None


async def ask(session: aiohttp.ClientSession, target: Target, question: str, due: float) -> Outcome:
    """Send a question, read its answer to the end, and return what came of it. Raises nothing that a server may cause."""
    import aiohttp

    outcome = Outcome(due, time.perf_counter())
    reading = target.reading()
    headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    try:
        async with session.post(target.url, json=target.body(question), headers=headers) as response:
            if response.status != 200:
                outcome.error = f"HTTP {response.status}"
            else:
                async for name, data in _events(response.content.iter_any()):
                    if reading.take(name, data):
                        outcome.texts.append(time.perf_counter())
                outcome.error = reading.error or ("" if reading.ended and outcome.texts else "cut short")
    except TimeoutError:
        outcome.error = "timeout"
    except aiohttp.ClientConnectorError:
        outcome.error = "no connection"
    except (aiohttp.ClientError, OSError):
        outcome.error = "cut short"
    except (ValueError, KeyError, TypeError):
        outcome.error = "not understood"
    outcome.ended = time.perf_counter()
    outcome.tokens, outcome.model = reading.tokens, reading.model
    return outcome


async def _events(parts: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, str]]:
    """Yield the name and the data of each server-sent event (HTML standard, section 9.2)."""
    waiting, name, data = b"", "", []
    async for part in parts:
        *lines, waiting = (waiting + part).split(b"\n")
        for line in lines:
            field_name, _, value = line.rstrip(b"\r").decode("utf-8", "replace").partition(":")
            value = value.removeprefix(" ")
            if field_name == "event":
                name = value
            elif field_name == "data":
                data.append(value)
            elif not field_name and not value and data:
                yield name, "\n".join(data)
                name, data = "", []
