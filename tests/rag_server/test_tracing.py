"""One trace a question, sent in the background; a Langfuse that is away costs nothing."""

from __future__ import annotations

import json
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
from tests.rag_server.trace_receiver import running_receiver

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
        assert {"question", "ask", "retrieve", "answer", "StreamingChat"} <= set(spans)
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


@pytest.mark.usefixtures("keys")
def test_a_trace_says_who_asked_in_which_conversation_and_what_it_cost(
    start: Callable[..., Server], indexed: Settings, stand_in_model: StandInModel
) -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(TracingSettings(input_price=2.0, output_price=10.0), exporter)
    stand_in_model.usage = {"prompt_tokens": 512, "completion_tokens": 7, "total_tokens": 519}
    server = start(with_model(indexed, stand_in_model.base_url), tracing=tracing)
    told = server.ask(QUESTION, conversation="new").json()
    tracing.close()
    spans = {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}
    cost = (512 * 2.0 + 7 * 10.0) / 1e6
    assert told["usage"] == {"prompt_tokens": 512, "completion_tokens": 7}
    assert {span["user.id"] for span in spans.values()} == {"admin"}
    assert {span["session.id"] for span in spans.values()} == {told["conversation"]}
    assert spans["question"]["langfuse.observation.metadata.prompt_tokens"] == "512"
    assert float(spans["question"]["langfuse.observation.metadata.cost"]) == pytest.approx(cost)
    assert json.loads(spans["StreamingChat"]["langfuse.observation.cost_details"])["total"] == pytest.approx(cost)
    assert server.metric("cia_cost_total") == pytest.approx(cost)


@pytest.mark.usefixtures("keys")
def test_an_extractive_answer_is_traced_with_its_retrieval(start: Callable[..., Server], indexed: Settings) -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(TracingSettings(), exporter)
    start(indexed, tracing=tracing).ask(QUESTION)
    tracing.close()
    assert {"question", "ask", "retrieve", "answer"} <= {span.name for span in exporter.get_finished_spans()}


@pytest.mark.usefixtures("keys")
def test_a_secret_in_a_question_reaches_neither_trace_nor_model(
    start: Callable[..., Server], indexed: Settings, stand_in_model: StandInModel
) -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(TracingSettings(), exporter)
    start(with_model(indexed, stand_in_model.base_url), tracing=tracing).ask(
        "How is a wick trimmed with ghp_abcdefghijklmnopqrstuvwxyz0123456789?"
    )
    tracing.close()
    assert exporter.get_finished_spans()
    assert "ghp_" not in str([span.to_json() for span in exporter.get_finished_spans()])
    assert stand_in_model.asked
    assert "ghp_" not in str(stand_in_model.asked)


def test_spans_go_to_a_collector_and_scores_to_langfuse(
    start: Callable[..., Server], indexed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_receiver() as collector, running_receiver() as langfuse:
        monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk-both")
        monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-test")
        tracing = Tracing(TracingSettings(langfuse_url=langfuse.url, otlp_endpoint=f"{collector.url}/v1/traces"))
        server = start(indexed, tracing=tracing)
        told = server.ask(QUESTION).json()
        rated = {"trace_id": told["trace_id"], "rating": "down", "comment": "no", "correction": "It is cut."}
        assert server.client.post("/v1/feedback", json=rated).status_code == 204
        tracing.close()
    assert {f"{span.trace_id.hex()}" for span in collector.spans} == {told["trace_id"]}
    assert {span.name for span in collector.spans} == {span.name for span in langfuse.spans} > {"question", "retrieve"}
    scores = {score["name"]: score for score in langfuse.scores}
    assert (scores["user-feedback"]["value"], scores["user-feedback"]["comment"]) == (0, "no")
    assert scores["correction"]["value"] == "It is cut."
    assert {score["traceId"] for score in langfuse.scores} == {told["trace_id"]}


def test_a_collector_alone_gets_spans_and_nobody_gets_scores(
    start: Callable[..., Server], indexed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_receiver() as collector:
        monkeypatch.setenv("LANGFUSE_BASE_URL", collector.url)
        tracing = Tracing(TracingSettings(otlp_endpoint=f"{collector.url}/v1/traces"))
        server = start(indexed, tracing=tracing)
        told = server.ask(QUESTION).json()
        assert server.client.post("/v1/feedback", json={"trace_id": told["trace_id"], "rating": "up"}).status_code == 204
        tracing.close()
    assert {span.name for span in collector.spans} > {"question", "retrieve"}
    assert collector.scores == []
