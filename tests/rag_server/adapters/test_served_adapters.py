"""The adapter in Production answers, is resolved when it is new or forgotten, and outlives the registry."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import structlog

from cia.errors import UnavailableError
from cia.registry import Registry
from cia.settings import Settings
from rag_server.adapters import ServedAdapters
from tests.rag_server.running_server import Server, add_user, with_model
from tests.rag_server.stand_in_model import StandInModel

USERS = [f"user-{number}" for number in range(200)]


def following(settings: Settings, base_url: str) -> ServedAdapters:
    return ServedAdapters(with_model(settings, base_url), structlog.wrap_logger(None, processors=[drop]))


def drop(*_: object) -> None:
    raise structlog.DropEvent


def check(adapters: ServedAdapters) -> None:
    adapters.follow_registry()
    adapters.keep_loaded()


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def away(*_: object) -> None:
    raise UnavailableError("the registry does not answer")


def test_the_promoted_version_is_resolved_and_named_and_nothing_is_downloaded(
    promoted: Settings, stand_in_model: StandInModel
) -> None:
    adapters = following(promoted, stand_in_model.base_url)
    for _ in range(3):
        check(adapters)
    assert adapters.name() == "code-assistant:1"
    assert stand_in_model.resolved == ["code-assistant:1"]
    assert stand_in_model.asked == [], "something was generated"
    assert not (promoted.home / "adapters").exists()


def test_promotion_and_rollback_are_followed(promoted: Settings, stand_in_model: StandInModel) -> None:
    adapters = following(promoted, stand_in_model.base_url)
    check(adapters)
    Registry(promoted).promote(2)
    check(adapters)
    assert adapters.name() == "code-assistant:2"
    Registry(promoted).rollback()
    check(adapters)
    assert adapters.name() == "code-assistant:1"
    assert stand_in_model.resolved == ["code-assistant:1", "code-assistant:2"]


def test_of_two_promotions_in_a_row_the_last_wins_and_the_first_is_never_named(
    promoted: Settings, stand_in_model: StandInModel
) -> None:
    adapters = following(promoted, stand_in_model.base_url)
    check(adapters)
    stand_in_model.may_resolve.clear()  # version 2 takes long
    Registry(promoted).promote(2)
    check(adapters)
    Registry(promoted).promote(3)
    check(adapters)
    assert adapters.name() == "code-assistant:1"
    named = set()
    threading.Timer(0.2, stand_in_model.may_resolve.set).start()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        check(adapters)
        named.add(adapters.name())
    assert named - {"code-assistant:1"} == {"code-assistant:3"}
    assert {"code-assistant:2", "code-assistant:3"} <= set(stand_in_model.resolved)


def test_a_vllm_that_was_restarted_gets_its_adapters_back(promoted: Settings, stand_in_model: StandInModel) -> None:
    Registry(promoted).start_canary(3, 50, by="ada")
    adapters = following(promoted, stand_in_model.base_url)
    check(adapters)
    stand_in_model.models[:] = ["code-assistant-base"]
    adapters.keep_loaded()
    assert {"code-assistant:1", "code-assistant:3"} <= set(stand_in_model.models)


def test_a_registry_that_is_away_goes_unnoticed(
    promoted: Settings, stand_in_model: StandInModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(promoted).start_canary(3, 50, by="ada")
    adapters = following(promoted, stand_in_model.base_url)
    check(adapters)
    names = [adapters.name(user) for user in USERS]
    monkeypatch.setattr(Registry, "aliases", away)
    check(adapters)
    assert [adapters.name(user) for user in USERS] == names
    assert "code-assistant:1 was in Production" in adapters.registry_problem
    monkeypatch.setattr(Registry, "aliases", lambda _: 1 / 0)
    check(adapters)
    assert [adapters.name(user) for user in USERS] == names
    assert adapters.registry_problem


def test_a_server_that_starts_without_the_registry_serves_the_last_known(
    promoted: Settings, stand_in_model: StandInModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(following(promoted, stand_in_model.base_url))
    monkeypatch.setattr(Registry, "aliases", away)
    restarted = following(promoted, stand_in_model.base_url)
    check(restarted)
    assert restarted.name() == "code-assistant:1"
    assert restarted.registry_problem


def test_a_version_that_vllm_refuses_leaves_the_former_one_until_it_loads(
    promoted: Settings, stand_in_model: StandInModel
) -> None:
    adapters = following(promoted, stand_in_model.base_url)
    check(adapters)
    stand_in_model.refuses["code-assistant:2"] = "no space left on the disk"
    Registry(promoted).promote(2)
    check(adapters)
    assert adapters.name() == "code-assistant:1"
    assert "code-assistant:2 cannot be served" in adapters.adapter_problem
    assert "no space left" in adapters.adapter_problem
    assert "code-assistant:1 goes on" in adapters.adapter_problem
    stand_in_model.refuses.clear()
    assert eventually(lambda: check(adapters) or adapters.name() == "code-assistant:2")
    assert adapters.adapter_problem == ""


def test_a_version_that_is_deleted_while_served_is_served_on(promoted: Settings, stand_in_model: StandInModel) -> None:
    adapters = following(promoted, stand_in_model.base_url)
    check(adapters)
    registry = Registry(promoted)
    registry._client.delete_model_version("code-assistant", "1")
    for _ in range(2):
        check(adapters)
    assert adapters.name() == "code-assistant:1"
    assert "deleted" in adapters.adapter_problem
    registry.promote(2)
    check(adapters)
    assert (adapters.name(), adapters.adapter_problem) == ("code-assistant:2", "")


def test_an_alias_that_is_taken_away_leaves_nobody(promoted: Settings, stand_in_model: StandInModel) -> None:
    adapters = following(promoted, stand_in_model.base_url)
    check(adapters)
    Registry(promoted)._client.delete_registered_model_alias("code-assistant", "Production")
    check(adapters)
    assert (adapters.name(), adapters.adapter_problem) == (None, "")


def test_a_model_that_is_away_still_has_an_adapter_to_name(promoted: Settings) -> None:
    adapters = following(promoted, "http://127.0.0.1:9/v1")
    check(adapters)
    assert adapters.name() == "code-assistant:1"
    assert "127.0.0.1:9" in adapters.model_problem


def test_some_users_get_the_version_on_trial_and_production_while_it_cannot_be_loaded(
    promoted: Settings, stand_in_model: StandInModel
) -> None:
    stand_in_model.refuses["code-assistant:3"] = "rank 64 is greater than max_lora_rank 16"
    canary = Registry(promoted).start_canary(3, 20, by="ada")
    adapters = following(promoted, stand_in_model.base_url)
    check(adapters)
    assert {adapters.name(user) for user in USERS} == {"code-assistant:1"}
    assert "max_lora_rank" in adapters.canary_problem
    stand_in_model.refuses.clear()
    assert eventually(lambda: check(adapters) or adapters.canary is not None)
    assert {user for user in USERS if adapters.name(user) == "code-assistant:3"} == set(filter(canary.answers, USERS))
    assert adapters.name("") == "code-assistant:1"
    adapters.suspend(canary)
    assert {adapters.name(user) for user in USERS} == {"code-assistant:1"}


def test_a_server_names_the_adapter_that_answered_and_says_what_is_wrong(
    start: Callable[..., Server], followed: Settings, promoted: Settings, stand_in_model: StandInModel
) -> None:
    server = start(followed)
    assert eventually(lambda: server.client.get("/model/info").json()["adapter"] == "code-assistant:1")
    answer = server.ask("How is a wick trimmed?").json()
    assert (answer["mode"], answer["model"], answer["asked_model"]) == ("llm", "code-assistant:1", "code-assistant:1")
    assert stand_in_model.asked[-1]["model"] == "code-assistant:1"
    assert server.metric('cia_answers_by_adapter_total{outcome="answered",version="1"}') == 1
    assert eventually(lambda: server.metric('cia_adapter_info{role="production",version="1"}') == 1)
    assert server.metric("cia_adapter_problem") == 0

    stand_in_model.refuses["code-assistant:2"] = "no space left on the disk"
    Registry(promoted).promote(2)
    assert eventually(lambda: server.metric("cia_adapter_problem") == 1, 10)
    ready = server.client.get("/readyz")
    assert ready.status_code == 200
    assert "code-assistant:2 cannot be served" in ready.text
    assert server.ask("How is a wick trimmed?").json()["model"] == "code-assistant:1"

    begun = time.monotonic()
    Registry(promoted).promote(3)
    assert eventually(lambda: server.ask("How is a wick trimmed?").json()["model"] == "code-assistant:3")
    assert time.monotonic() - begun < 5
    assert eventually(lambda: server.metric("cia_adapter_problem") == 0, 10)
    assert server.metric('cia_adapter_info{role="production",version="1"}') == 0
    assert server.metric('cia_adapter_info{role="production",version="3"}') == 1


def test_a_stream_that_began_before_a_promotion_ends_on_the_old_version(
    start: Callable[..., Server], followed: Settings, promoted: Settings, stand_in_model: StandInModel
) -> None:
    server = start(followed)
    assert eventually(lambda: server.client.get("/model/info").json()["adapter"] == "code-assistant:1")
    stand_in_model.pause_seconds = 0.7
    told = []
    stream = threading.Thread(target=lambda: told.extend(server.events("How is a wick trimmed?")))
    stream.start()
    assert eventually(lambda: bool(stand_in_model.asked))
    Registry(promoted).promote(2)
    assert eventually(lambda: server.client.get("/model/info").json()["adapter"] == "code-assistant:2")
    assert stream.is_alive(), "the stream was over before the promotion"
    stream.join()
    assert (told[-1][1]["mode"], told[-1][1]["model"]) == ("llm", "code-assistant:1")


def test_each_user_is_told_who_answers_them(
    start: Callable[..., Server], followed: Settings, promoted: Settings, stand_in_model: StandInModel
) -> None:
    canary = Registry(promoted).start_canary(3, 50, by="ada")
    server = start(followed)
    names = [f"reader-{promoted.home.parent.name}-{number}" for number in range(8)]
    assert {canary.answers(name) for name in names} == {True, False}
    assert eventually(lambda: "is on trial" in server.client.get("/readyz").text)
    for name in names:
        mine = server.acting_as(add_user(followed, name, "lantern"))
        expected = "code-assistant:3" if canary.answers(name) else "code-assistant:1"
        assert mine.client.get("/model/info").json()["model"] == expected
        assert mine.ask("How is a wick trimmed?").json()["model"] == expected
