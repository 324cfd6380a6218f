"""A judge at any OpenAI-compatible address that can be held to a JSON schema (vLLM's guided decoding, OpenAI, llama.cpp)."""

from __future__ import annotations

import os
import time
from typing import Any

import httpx
from pydantic import ValidationError

from cia.errors import InputError
from cia.evaluation.judge import JudgeError, Schema
from cia.settings import EvaluationSettings

TRIES = 3
PAUSE_SECONDS = 0.5
"""Before the second try; twice that before the third."""

VERDICT_TOKENS = 2048
"""Enough for a verdict and its reason on some thirty claims."""


class OpenAIJudge:
    """Asks a model over ``/chat/completions`` at temperature 0, for JSON of the schema that DeepEval wants.

    A reply that does not fit the schema, a late one and a server error are tried again, TRIES times in all; then it is a
    JudgeError, which the metrics count as a fail.
    """

    def __init__(
        self, base_url: str, model: str, api_key: str = "", timeout_seconds: float = 60.0, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise InputError(f"evaluation.judge is {base_url!r}; it must be 'offline' or a URL such as http://127.0.0.1:8001/v1")
        self.name = f"{model} at {base_url}"
        self._model = model
        self._pause_seconds = pause_seconds
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(base_url=base_url.rstrip("/"), headers=headers, timeout=timeout_seconds)

    @classmethod
    def from_settings(cls, settings: EvaluationSettings) -> OpenAIJudge:
        """Return the judge that ``evaluation.judge`` names, with the key from the variable that the settings name."""
        key = os.environ.get(settings.judge_api_key_variable, "")
        return cls(settings.judge, settings.judge_model, key, settings.judge_timeout_seconds)

    def judge(self, prompt: str, schema: type[Schema]) -> Schema:
        """Return the model's verdicts as ``schema``. Raises JudgeError when no try brought any."""
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(self._pause_seconds * 2 ** (attempt - 1))
            try:
                return schema.model_validate_json(self._ask(prompt, schema))
            except ValidationError as error:
                problem = f"its reply is not the JSON asked for ({error.errors()[0]['msg']})"
            except httpx.TimeoutException:
                problem = "it did not answer in time"
            except httpx.HTTPStatusError as error:
                problem = f"it answered with status {error.response.status_code}"
                if error.response.status_code < 500 and error.response.status_code != 429:
                    break  # the same request would be refused again
            except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
                problem = f"it cannot be understood or reached ({type(error).__name__})"
        raise JudgeError(f"the judge {self.name} gave no verdict: {problem}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, prompt: str, schema: type[Schema]) -> str:
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": VERDICT_TOKENS,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": schema.__name__, "strict": True, "schema": _closed(schema.model_json_schema())},
            },
        }
        reply = self._client.post("/chat/completions", json=request)
        reply.raise_for_status()
        return str(reply.json()["choices"][0]["message"]["content"] or "")


def _closed(schema: Any) -> Any:
    """The same schema with every property required and no others allowed: OpenAI's strict mode takes no other, vLLM any."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items() if name != "default"}
    if isinstance(schema.get("properties"), dict):
        closed |= {"required": list(schema["properties"]), "additionalProperties": False}
    return closed
