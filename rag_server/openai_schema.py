"""OpenAI's chat completions: what is read of a request, and what a reply, a chunk and an error look like.

The shapes are those of https://platform.openai.com/docs/api-reference/chat. What they have no field for, such as citations,
is in ``code_intelligence``, which their clients pass on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from cia.answering import Answer, Exchange, Usage
from cia.errors import InputError
from cia.retrieval import SearchResult
from rag_server.errors import describe, error_reply, headers_of

UNKNOWN_MODEL = "model_not_found"

KINDS: dict[int, tuple[int, str, str | None]] = {
    401: (401, "invalid_request_error", "invalid_api_key"),
    404: (404, "invalid_request_error", UNKNOWN_MODEL),
    422: (400, "invalid_request_error", None),
    429: (429, "rate_limit_error", "rate_limit_exceeded"),
}
"""From this server's status to OpenAI's status, type and code. Everything else is a ``server_error``."""


class UnsupportedError(InputError):
    """A field asks for a reply of another shape than there is. ``param`` is its name."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class Part(BaseModel):
    """A part of a message. Only text is read."""

    model_config = ConfigDict(extra="ignore")

    type: str
    text: str | None = None


class Message(BaseModel):
    """One message. Only those of the user and the assistant are read."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["user", "assistant", "system", "developer", "tool", "function"]
    content: str | list[Part] | None = None


class ChatCompletionRequest(BaseModel):
    """What is read of a request. Any other field is accepted and changes nothing; the reply names it under ``ignored``."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(examples=["code-assistant"], max_length=1000)
    messages: list[Message] = Field(min_length=1, examples=[[{"role": "user", "content": "How are redirects followed?"}]])
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    repos: list[str] | None = Field(default=None, max_length=1000, description="Repositories to ask; an addition to OpenAI's.")
    n: int | None = None
    logprobs: bool | None = None
    response_format: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with a chunk of token counts."""
        return bool((self.stream_options or {}).get("include_usage"))

    @property
    def ignored(self) -> list[str]:
        """What was given and has no effect: names of fields, and roles as ``messages.system``."""
        roles = {message.role for message in self.messages} - {"user", "assistant"}
        fields = {name for name, value in (self.model_extra or {}).items() if value is not None}
        return sorted(fields) + sorted(f"messages.{role}" for role in roles)

    def question(self) -> tuple[str, list[Exchange]]:
        """Return the last thing that the user said, and the exchanges before it, oldest first.

        Raises UnsupportedError for a reply of another shape, images and the like, and a request without a question.
        """
        self._expect_a_shape_that_there_is()
        turns: list[Exchange] = []
        for message in self.messages:
            if message.role == "user":
                turns.append(Exchange(_text(message), ""))
            elif message.role == "assistant" and turns and (text := _text(message)):
                turns[-1] = replace(turns[-1], answer=f"{turns[-1].answer}\n\n{text}".strip())
        if not turns:
            raise UnsupportedError("messages", "no message has the role 'user'; the last one of that role is the question")
        *earlier, last = turns
        return last.question, earlier

    def _expect_a_shape_that_there_is(self) -> None:
        if self.n not in (None, 1):
            raise UnsupportedError("n", f"n is {self.n}; there is one answer to a question")
        if self.logprobs:
            raise UnsupportedError("logprobs", "logprobs are not available: the text is checked, and is not the model's alone")
        if (self.response_format or {}).get("type", "text") != "text":
            raise UnsupportedError("response_format", "answers are text with citations; only response_format 'text' is possible")
        if self.tool_choice not in (None, "auto", "none"):
            raise UnsupportedError("tool_choice", "this model calls no tools; leave tool_choice out, or give 'auto' or 'none'")


@dataclass(frozen=True, slots=True)
class Completion:
    """What the reply to one request repeats in each of its parts."""

    id: str
    model: str
    fingerprint: str
    ignored: Sequence[str] = ()
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer, sources: Sequence[SearchResult]) -> dict[str, Any]:
        """Return a completion that is not streamed."""
        citations = [asdict(citation) for citation in answer.citations]
        message = {"role": "assistant", "content": answer.answer, "refusal": None, "citations": citations}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": usage_document(answer.usage),
            "code_intelligence": self.extension(answer, sources),
        }

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None, **beyond: Any) -> dict[str, Any]:
        """Return a piece of a streamed completion; ``beyond`` are fields at its top."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice], **beyond}

    def usage_chunk(self, usage: Usage | None) -> dict[str, Any]:
        """Return the last piece of a stream whose client asked for token counts."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_document(usage)}

    def extension(self, answer: Answer, sources: Sequence[SearchResult]) -> dict[str, Any]:
        """Return what OpenAI's fields have no room for."""
        document = answer.as_json()
        for elsewhere in ("answer", "usage", "conversation"):
            document.pop(elsewhere)
        return {**document, "sources": places(sources), "ignored": list(self.ignored)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


def places(sources: Sequence[SearchResult]) -> list[dict[str, Any]]:
    """Return where ``sources`` are, without their text."""
    names = ("repo", "commit", "file_path", "line_start", "line_end", "symbol")
    return [{name: getattr(source, name) for name in names} for source in sources]


def usage_document(usage: Usage | None) -> dict[str, int]:
    """Return token counts; zeros when no model was asked."""
    usage = usage or Usage()
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total,
    }


def model_document(name: str, created: int) -> dict[str, Any]:
    """Return a model as ``GET /v1/models`` lists it."""
    return {"id": name, "object": "model", "created": created, "owned_by": "code-intelligence-assistant"}


def openai_error(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and OpenAI's document for ``error``: this server's own with a ``param`` and a ``code``."""
    ours, document = describe(error)
    status, kind, code = KINDS.get(ours, (ours, "server_error", document["error"]["type"]))
    message = document["error"]["message"]
    return status, {"error": {"message": message, "type": kind, "param": getattr(error, "param", None), "code": code}}


def openai_error_reply(error: Exception) -> JSONResponse:
    """Return the reply for ``error``, with the Retry-After by which OpenAI's client waits."""
    return error_reply(*openai_error(error), headers_of(error))


def _text(message: Message) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    parts = []
    for part in message.content:
        if part.type in ("text", "input_text"):
            parts.append(part.text or "")
        elif message.role == "user":
            raise UnsupportedError(
                "messages", f"a message has a part of type {part.type[:40]!r}; only text can be read, no images or files"
            )
    return "\n".join(parts)
