"""One trace a question, sent in the background; a Langfuse that is away costs nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cia.settings import Settings, TracingSettings
from rag_server.tracing import Tracing
from tests.rag_server.running_server import Server, with_model
from tests.rag_server.stand_in_model import StandInModel

QUESTION = "How is a wick trimmed?"


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    # The SDK keeps one client per public key and process.
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", f"pk-{request.node.name}")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-test")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("stream", [False, True])
def test_a_question_is_one_trace_with_its_steps(
    start: Callable[..., Server], indexed: Settings, stand_in_model: StandInModel, stream: bool
) -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(TracingSettings(), exporter)
    server = start(with_model(indexed, stand_in_model.base_url), tracing=tracing)
    answers = [server.events(QUESTION)[-1][1] if stream else server.ask(QUESTION).json() for _ in range(2)]
    tracing.close()
    traces: dict[str, dict[str, ReadableSpan]] = {answer["trace_id"]: {} for answer in answers}
    assert len(traces) == 2
    for span in exporter.get_finished_spans():
        traces[f"{span.context.trace_id:032x}"][span.name] = span
    for answer in answers:
        spans = traces[answer["trace_id"]]
        assert {"question", "ask", "retrieve", "answer", "ChatOpenAI"} <= set(spans)
        top = str(dict(spans["question"].attributes))
        assert QUESTION in top
        assert answer["answer"] in top


def test_without_keys_an_answer_still_has_an_id_to_speak_of(server: Server) -> None:
    first, second = (server.ask(QUESTION).json()["trace_id"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


@pytest.mark.usefixtures("keys")
def test_a_langfuse_that_is_away_holds_nothing_up(start: Callable[..., Server], indexed: Settings) -> None:
    tracing = Tracing(TracingSettings(langfuse_url="http://127.0.0.1:9"))
    server = start(indexed, tracing=tracing)
    server.ask(QUESTION)
    begun = time.monotonic()
    answer = server.ask(QUESTION).json()
    assert time.monotonic() - begun < 2
    assert len(answer["trace_id"]) == 32
    begun = time.monotonic()
    tracing.close()
    assert time.monotonic() - begun < 8
