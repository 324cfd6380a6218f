"""One trace per question: to Langfuse when both keys are set, to any OpenTelemetry collector by its address, or to both.

Langfuse's SDK speaks OpenTelemetry, so that both get the same spans. One that is away costs a request nothing.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from cia.answering import Answer, Usage
from cia.answering.secrets import mask
from cia.settings import TracingSettings
from rag_server.adapters import Arm
from rag_server.feedback import Rating

if TYPE_CHECKING:
    from langfuse import Langfuse

EXPORT_TIMEOUT_SECONDS = 1
"""For a batch of spans: bounds how long a dead host can delay the server's exit."""

COLLECTOR_ONLY = "opentelemetry"
"""Stands in for both keys where spans go to a collector alone; nothing is sent to Langfuse then."""


@dataclass
class Trace:
    """The trace of one question. ``callbacks`` is empty while tracing is off; the id is then one of nobody's."""

    id: str
    callbacks: tuple[Any, ...] = field(default=())
    _span: Any = None

    def answered(self, answer: Answer, cost: float, arm: Arm | None = None) -> None:
        """Put the answer, its token counts and its cost (in the prices' currency) at the top of the trace.

        ``arm`` is the version that was asked: the trace is tagged with it, and with whether it is on trial.
        """
        if self._span is not None:
            facts = {
                "mode": answer.mode,
                "model": answer.model,
                "abstained": answer.abstained,
                "citations": len(answer.citations),
                "dropped_citations": answer.dropped_citations,
                "fallback_reason": answer.fallback_reason,
                "resolved_question": answer.resolved_question,
                **(asdict(answer.usage) if answer.usage else {}),
                "cost": cost,
                **({"adapter_version": arm.version, "adapter_role": arm.role} if arm else {}),
            }
            self._span.update(output=answer.answer, metadata=facts)
            if arm:
                # Known only now, when the SDK's way to tag a trace is to say so before it begins.
                self._span._otel_span.set_attribute("langfuse.trace.tags", (f"adapter:{arm.version}", arm.role))


class Tracing:
    """Sends traces in the background. ``exporter`` takes the place of the network to Langfuse in a test."""

    def __init__(self, settings: TracingSettings, exporter: Any = None) -> None:
        self.settings = settings
        self._client: Langfuse | None = None
        public_key = os.environ.get(settings.public_key_variable, "")
        secret_key = os.environ.get(settings.secret_key_variable, "")
        self._to_langfuse = bool(public_key and secret_key)
        self._public_key = public_key if self._to_langfuse else COLLECTOR_ONLY
        if self._to_langfuse or settings.otlp_endpoint:
            self._client = self._open(secret_key, exporter)

    @property
    def is_on(self) -> bool:
        """Whether traces are sent."""
        return self._client is not None

    def cost(self, usage: Usage | None) -> float:
        """Return what ``usage`` costs at ``tracing.input_price`` and ``output_price``, which are for a million tokens."""
        if usage is None:
            return 0.0
        prices = self.settings
        return (usage.prompt_tokens * prices.input_price + usage.completion_tokens * prices.output_price) / 1e6

    @contextlib.contextmanager
    def question(self, question: str, request_id: str, user: str, session: str | None, index: str) -> Iterator[Trace]:
        """Trace what happens in the block, in this thread, as one question of ``user``.

        ``session`` groups the questions of a conversation; ``index`` is the fingerprint of what is searched.
        """
        if self._client is None:
            yield Trace(uuid.uuid4().hex)
            return
        from langfuse import propagate_attributes

        trace_id = self._client.create_trace_id()
        with (
            self._client.start_as_current_observation(
                name="question",
                trace_context={"trace_id": trace_id},
                input=question,
                metadata={"request_id": request_id, "index": index},
            ) as span,
            propagate_attributes(user_id=user, session_id=session, metadata={"index": index}, trace_name="question"),
        ):
            yield Trace(trace_id, (_priced_handler()(self._public_key, self.cost),), span)

    def rated(self, trace_id: str, user: str, rating: Rating) -> None:
        """Send a user's rating as the trace's score: 1 or 0 with the comment, and a correction as one of its own."""
        if self._client is None or not self._to_langfuse:
            return
        score_id = f"{trace_id}-{user}"
        value = 1 if rating.rating == "up" else 0
        comment = rating.comment or None
        self._client.create_score(
            name="user-feedback", value=value, data_type="BOOLEAN", trace_id=trace_id, score_id=score_id, comment=comment
        )
        if rating.correction:
            self._client.create_score(
                name="correction",
                value=rating.correction,
                data_type="CORRECTION",
                trace_id=trace_id,
                score_id=f"{score_id}-correction",
            )

    def close(self) -> None:
        """Send what is waiting, for a second or so at most."""
        if self._client is not None:
            self._client.shutdown()

    def _open(self, secret_key: str, exporter: Any) -> Langfuse:
        from langfuse import Langfuse
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # Not the process's own provider: another library's spans are not ours to send.
        provider = TracerProvider(resource=Resource.create({"service.name": "code-assistant"}))
        if endpoint := self.settings.otlp_endpoint:
            collector = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT_SECONDS)
            if self._to_langfuse:
                provider.add_span_processor(BatchSpanProcessor(collector))
            else:
                exporter = collector
        return Langfuse(
            public_key=self._public_key,
            secret_key=secret_key or COLLECTOR_ONLY,
            base_url=self.settings.langfuse_url or os.environ.get("LANGFUSE_BASE_URL"),
            timeout=EXPORT_TIMEOUT_SECONDS,
            tracer_provider=provider,
            span_exporter=exporter,
        )


@cache
def _priced_handler() -> Any:
    """Return Langfuse's LangChain handler as a class that also says what a generation cost: no price list knows our models.

    What the model wrote is traced without the secrets that it may know by heart. Made once, and not before it is needed.
    """
    from langfuse.langchain import CallbackHandler

    class PricedHandler(CallbackHandler):
        def __init__(self, public_key: str, cost: Callable[[Usage], float]) -> None:
            super().__init__(public_key=public_key)
            self._cost = cost

        def on_llm_end(self, response: Any, *, run_id: uuid.UUID, **more: Any) -> Any:
            said = getattr(response.generations[-1][-1], "message", None)
            generation = self._runs.get(run_id)
            if generation is not None and (usage := getattr(said, "usage_metadata", None)):
                cost = self._cost(Usage(usage["input_tokens"], usage["output_tokens"]))
                generation.update(cost_details={"total": cost})
            return super().on_llm_end(_masked(response), run_id=run_id, **more)

    return PricedHandler


def _masked(response: Any) -> Any:
    """Return a copy of an LLMResult whose last generation holds no secret."""
    said = response.generations[-1][-1]
    message = getattr(said, "message", None)
    if message is None or not isinstance(message.content, str):
        return response
    text = mask(message.content)
    clean = said.model_copy(update={"text": text, "message": message.model_copy(update={"content": text})})
    return response.model_copy(update={"generations": [[clean]]})
