"""One Langfuse trace per question, when both keys are set. A Langfuse that is away costs a request nothing."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cia.answering.answer import Answer
from cia.settings import TracingSettings

EXPORT_TIMEOUT_SECONDS = 1
"""For a batch of spans: bounds how long a dead host can delay the server's exit."""


@dataclass
class Trace:
    """The trace of one question. ``callbacks`` is empty while tracing is off; the id is then one of nobody's."""

    id: str
    callbacks: tuple[Any, ...] = field(default=())
    _span: Any = None

    def answered(self, answer: Answer) -> None:
        """Put the answer at the top of the trace."""
        if self._span is not None:
            facts = {
                "mode": answer.mode,
                "model": answer.model,
                "abstained": answer.abstained,
                "citations": len(answer.citations),
                "dropped_citations": answer.dropped_citations,
                "fallback_reason": answer.fallback_reason,
            }
            self._span.update(output=answer.answer, metadata=facts)


class Tracing:
    """Sends traces to Langfuse through its SDK. ``exporter`` takes the place of the network in a test."""

    def __init__(self, settings: TracingSettings, exporter: Any = None) -> None:
        self._public_key = os.environ.get(settings.public_key_variable, "")
        secret_key = os.environ.get(settings.secret_key_variable, "")
        self._client: Any = None
        if self._public_key and secret_key:
            from langfuse import Langfuse
            from opentelemetry.sdk.trace import TracerProvider

            self._client = Langfuse(
                public_key=self._public_key,
                secret_key=secret_key,
                base_url=settings.langfuse_url or os.environ.get("LANGFUSE_BASE_URL"),
                timeout=EXPORT_TIMEOUT_SECONDS,
                # Not the process's own: another library's spans are not ours to send.
                tracer_provider=TracerProvider(),
                span_exporter=exporter,
            )

    @property
    def is_on(self) -> bool:
        """Whether traces are sent."""
        return self._client is not None

    @contextlib.contextmanager
    def question(self, question: str, request_id: str) -> Iterator[Trace]:
        """Trace what happens in the block, in this thread, as one question."""
        if self._client is None:
            yield Trace(uuid.uuid4().hex)
            return
        from langfuse.langchain import CallbackHandler

        trace_id = self._client.create_trace_id()
        with self._client.start_as_current_observation(
            name="question", trace_context={"trace_id": trace_id}, input=question, metadata={"request_id": request_id}
        ) as span:
            yield Trace(trace_id, (CallbackHandler(public_key=self._public_key),), span)

    def close(self) -> None:
        """Send what is waiting, for a second or so at most."""
        if self._client is not None:
            self._client.shutdown()
