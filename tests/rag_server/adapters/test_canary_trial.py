"""A version on trial is counted as it answers, begun as declared, and taken back by itself, once, when it is worse."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cia.errors import UnavailableError
from cia.registry import Registry
from cia.settings import Settings, TracingSettings
from rag_server.adapters import AnswerCounts, CanaryTrial, ServedAdapters, canary_trial
from rag_server.database import Database
from rag_server.metrics import Metrics
from rag_server.tracing import Tracing
from tests.rag_server.running_server import Server, add_user, users_of, with_model
from tests.rag_server.stand_in_model import StandInModel

QUESTION = "How is a wick trimmed?"
NOTHING_TO_CITE = "Perhaps somebody trims it. Surely."


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_trial, "LOOK_SECONDS", 0.2)


def with_canary(settings: Settings, **changes: Any) -> Settings:
    canary = settings.serving.canary.model_copy(update=changes)
    return settings.model_copy(update={"serving": settings.serving.model_copy(update={"canary": canary})})


def eventually(holds: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def two_users(settings: Settings, canary: Any) -> tuple[str, str]:
    """The keys of a user of the canary and of one of Production."""
    names: dict[bool, str] = {}
    number = 0
    while len(names) < 2:
        name = f"{canary.begun}-{number}".replace(":", ".").replace("+", ".")
        names.setdefault(canary.answers(name), name)
        number += 1
    return add_user(settings, names[True], "lantern"), add_user(settings, names[False], "lantern")


@pytest.fixture
def trial(
    start: Callable[..., Server], followed: Settings, promoted: Settings
) -> Callable[[], tuple[Server, Server, Server, Registry]]:
    """A server with version 3 on trial: asked by the administrator, by a user of the canary and by one of Production."""

    def begin(users: bool = True, **options: Any) -> tuple[Server, Server, Server, Registry]:
        registry = Registry(promoted)
        canary = registry.canary() or registry.start_canary(3, 50, by="ada")
        server = start(with_canary(followed, minimum_answers=10), **options)
        assert eventually(lambda: server.client.app.state.services.adapters.canary is not None)
        tried, usual = two_users(followed, canary) if users else (None, None)
        return server, server.acting_as(tried), server.acting_as(usual), registry

    return begin


def test_a_canary_that_fails_is_taken_back_with_the_figures_and_its_users_get_production(
    trial: Callable[..., Any], stand_in_model: StandInModel
) -> None:
    server, tried, usual, registry = trial()
    stand_in_model.says_as["code-assistant:3"] = NOTHING_TO_CITE
    for _ in range(9):
        assert tried.ask(QUESTION).json()["fallback_reason"]
        assert usual.ask(QUESTION).json()["model"] == "code-assistant:1"
    time.sleep(0.6)
    assert registry.canary() is not None, "judged before there was enough to tell"
    tried.ask(QUESTION), usual.ask(QUESTION)

    assert eventually(lambda: registry.canary() is None)
    tags = registry.get(3).tags
    assert (tags["canary_outcome"], tags["canary_ended_by"]) == ("taken back", "cia serve")
    assert "errors 10 of 10 (100.0%) against 0 of 10 (0.0%) in Production" in tags["canary_ended_why"]
    assert tried.ask(QUESTION).json()["model"] == "code-assistant:1"
    assert server.metric('cia_canaries_taken_back_total{version="3"}') == 1
    assert server.metric('cia_answers_by_adapter_total{outcome="failed",version="3"}') == 10
    assert any(line.get("event") == "canary is worse" and "errors 10 of 10" in line["reason"] for line in server.log)


def test_two_servers_take_it_back_once(trial: Callable[..., Any], stand_in_model: StandInModel) -> None:
    first, tried, usual, registry = trial()
    second, *_ = trial(users=False)
    stand_in_model.says_as["code-assistant:3"] = "The indexed code does not answer this question."
    for _ in range(10):
        assert tried.ask(QUESTION).json()["abstained"]
        usual.ask(QUESTION)
    assert eventually(lambda: registry.canary() is None)
    assert eventually(lambda: all(one.client.app.state.services.adapters.canary is None for one in (first, second)))
    assert "abstentions 10 of 10" in registry.get(3).tags["canary_ended_why"]
    assert sum(one.metric('cia_canaries_taken_back_total{version="3"}') for one in (first, second)) == 1


def test_thumbs_down_take_it_back_also_from_users_that_are_revoked_since(
    trial: Callable[..., Any], stand_in_model: StandInModel, followed: Settings
) -> None:
    server, tried, usual, registry = trial()
    for mine, rating in ((tried, "down"), (usual, "up")):
        for _ in range(13):  # the first look, at 10 answers, may come before the tenth thumb; the second is at 13
            answer = mine.ask(QUESTION).json()
            given = {"trace_id": answer["trace_id"], "rating": rating}
            assert mine.client.post("/v1/feedback", json=given).status_code == 204
            assert mine.client.post("/v1/feedback", json=given).status_code == 204  # counts once
    with users_of(followed) as users:
        for user in users.list():
            if not user.is_admin and user.revoked is None:
                users.revoke(user.name)
    assert eventually(lambda: registry.canary() is None)
    assert re.search(r"thumbs down 1\d of 1\d \(100.0%\) against 0 of 1\d", registry.get(3).tags["canary_ended_why"])
    assert server.metric('cia_feedback_by_adapter_total{rating="down",version="3"}') == 26
    assert server.metric('cia_feedback_by_adapter_total{rating="up",version="1"}') == 26


def test_with_the_registry_away_its_users_get_production_at_once_and_the_registry_is_told_later(
    trial: Callable[..., Any], stand_in_model: StandInModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise UnavailableError("the registry does not answer")

    _, tried, usual, registry = trial()
    stop_canary = Registry.stop_canary
    monkeypatch.setattr(Registry, "stop_canary", away)
    stand_in_model.says_as["code-assistant:3"] = NOTHING_TO_CITE
    for _ in range(10):
        tried.ask(QUESTION), usual.ask(QUESTION)
    assert eventually(lambda: tried.ask(QUESTION).json()["model"] == "code-assistant:1")
    assert registry.canary() is not None
    monkeypatch.setattr(Registry, "stop_canary", stop_canary)
    assert eventually(lambda: registry.canary() is None)
    assert "errors 1" in registry.get(3).tags["canary_ended_why"]


def test_an_answer_that_cannot_be_counted_is_given(trial: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise UnavailableError("the database does not answer")

    server, tried, *_ = trial()
    monkeypatch.setattr(AnswerCounts, "answered", away)
    assert tried.ask(QUESTION).json()["model"] == "code-assistant:3"
    assert any(line.get("event") == "answer not counted" for line in server.log)


def test_a_trace_is_tagged_with_the_version_and_its_role(trial: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk-roles")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-test")
    exporter = InMemorySpanExporter()
    tracing = Tracing(TracingSettings(), exporter)
    _, tried, usual, _ = trial(tracing=tracing)
    ids = {tried.ask(QUESTION).json()["trace_id"]: (3, "canary"), usual.ask(QUESTION).json()["trace_id"]: (1, "production")}
    tracing.close()
    questions = [span for span in exporter.get_finished_spans() if span.name == "question"]
    assert len(questions) == 2
    for span in questions:
        version, role = ids[f"{span.context.trace_id:032x}"]
        attributes = dict(span.attributes or {})
        assert attributes["langfuse.trace.tags"] == (f"adapter:{version}", role)
        assert attributes["langfuse.observation.metadata.adapter_version"] == str(version)
        assert json.loads(str(attributes["langfuse.observation.metadata.adapter_role"])) == role


@pytest.fixture
def declaring(promoted: Settings, stand_in_model: StandInModel) -> Callable[..., CanaryTrial]:
    """Begin a server's trial with what its settings declare, and let it look."""

    def declare(**canary: Any) -> CanaryTrial:
        settings = with_canary(with_model(promoted, stand_in_model.base_url), **canary)
        log = structlog.wrap_logger(None, processors=[drop])
        trial = CanaryTrial(settings, ServedAdapters(settings, log), AnswerCounts(Database(settings, {})), Metrics(), log)
        trial.look()
        return trial

    return declare


def drop(*_: object) -> None:
    raise structlog.DropEvent


def test_a_declared_version_begins_and_its_percent_follows_the_settings(
    declaring: Callable[..., CanaryTrial], promoted: Settings
) -> None:
    registry = Registry(promoted)
    declaring(version=None)
    assert registry.canary() is None
    declaring(version=3, percent=5)
    begun = registry.canary()
    assert begun is not None
    assert (begun.version, begun.percent, begun.by) == (3, 5, "serving.canary")
    older = declaring(version=3, percent=5)
    declaring(version=3, percent=20)
    older.look()
    changed = registry.canary()
    assert changed is not None
    assert (changed.percent, changed.trial) == (20, begun.trial), "an older server took its own percent back"


def test_a_declared_version_whose_trial_ended_or_that_was_in_production_does_not_begin_again(
    declaring: Callable[..., CanaryTrial], promoted: Settings
) -> None:
    registry = Registry(promoted)
    declaring(version=3)
    registry.stop_canary("aborted", by="ada", why="no")
    declaring(version=3)
    assert registry.canary() is None
    registry.promote(2)
    declaring(version=2)
    registry.rollback()
    declaring(version=2)
    assert registry.canary() is None
    assert registry.start_canary(3, 10, by="ada"), "by hand it may"


def test_a_declared_version_waits_for_another_trial_and_one_that_failed_the_gate_is_refused(
    declaring: Callable[..., CanaryTrial], promoted: Settings
) -> None:
    registry = Registry(promoted)
    refused = declaring(version=4)
    assert "did not pass the gate" in refused.declared_problem
    registry.start_canary(2, 10, by="ada")
    waiting = declaring(version=3)
    assert "code-assistant:2 is on trial" in waiting.declared_problem
    registry.stop_canary("aborted", by="ada", why="no")
    waiting.look()
    begun = registry.canary()
    assert begun is not None
    assert (begun.version, waiting.declared_problem) == (3, "")
