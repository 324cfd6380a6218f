"""A LangChain chat model that reads an OpenAI-compatible server's stream with as little between as can be.

``ChatOpenAI`` builds several validated objects for every token, which on a CPU beside vLLM costs more than the checking of
citations (``benchmarks/server`` times it). This one reads the events' text and the usage, which is all that an answer needs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr, SecretStr

LONGEST_EXPLANATION = 2000
"""Bytes that are read of what a server says instead of an answer."""


class ModelServerError(Exception):
    """The model's server refused, or said what is no answer. ``status_code`` is its HTTP status, 0 within a stream."""

    def __init__(self, message: str, status_code: int = 0) -> None:
        super().__init__(message)
        self.status_code = status_code


class StreamingChat(BaseChatModel):
    """Chat completions of the server at ``base_url``. ``bind(model=..., temperature=..., extra_body=...)`` sets those of
    one request.

    Raises ModelServerError, and httpx's own errors when the server is away or takes longer than ``read_seconds`` for a piece.
    """

    base_url: str
    model: str
    api_key: SecretStr
    max_completion_tokens: int
    temperature: float = 0.0
    connect_seconds: float
    read_seconds: float
    _client: httpx.Client = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Open the connections that all requests share."""
        super().model_post_init(context)
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {self.api_key.get_secret_value()}"},
            timeout=httpx.Timeout(self.read_seconds, connect=self.connect_seconds),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )

    @property
    def _llm_type(self) -> str:
        return "openai-compatible"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002  (LangChain's signature)
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        body = {
            "model": kwargs.get("model", self.model),
            "messages": convert_to_openai_messages(messages),
            "temperature": kwargs.get("temperature", self.temperature),
            "max_completion_tokens": self.max_completion_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        body |= ({"stop": stop} if stop else {}) | kwargs.get("extra_body", {})
        with self._client.stream("POST", f"{self.base_url.rstrip('/')}/chat/completions", json=body) as reply:
            if reply.status_code != httpx.codes.OK:
                raise ModelServerError(_explanation(reply), reply.status_code)
            for event in _events(reply):
                yield ChatGenerationChunk(message=_message(event, str(body["model"])))


def _events(reply: httpx.Response) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, up to ``[DONE]``."""
    for line in reply.iter_lines():
        if not line.startswith("data:"):
            continue
        data = line[len("data:") :].strip()
        if data == "[DONE]":
            return
        try:
            event = json.loads(data)
        except ValueError:
            raise ModelServerError("it sent an event that is no JSON") from None
        if not isinstance(event, dict):
            raise ModelServerError("it sent an event that is no object")
        if error := event.get("error"):
            raise ModelServerError(str(error.get("message", error) if isinstance(error, dict) else error))
        yield event


def _message(event: dict[str, Any], model: str) -> AIMessageChunk:
    choices = event.get("choices") or [{}]
    content = (choices[0].get("delta") or {}).get("content")
    message = AIMessageChunk(content=content if isinstance(content, str) else "")
    if usage := event.get("usage"):
        read, written = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        message.usage_metadata = UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
        message.response_metadata = {"model_name": model}
    return message


def _explanation(reply: httpx.Response) -> str:
    """What a server says that refuses, in a sentence."""
    said = b""
    for piece in reply.iter_bytes():
        said += piece
        if len(said) > LONGEST_EXPLANATION:
            break
    text = said[:LONGEST_EXPLANATION].decode("utf-8", "replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = json.loads(text)["error"]["message"]
    return f"HTTP {reply.status_code}: {text}"
