"""The adapter in Production answers, is loaded when it is new or forgotten, and outlives the registry."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.settings import Settings
from rag_server.production_adapter import ProductionAdapter
from tests.rag_server.running_server import Server, with_model
from tests.rag_server.stand_in_model import StandInModel
from tests.rag_server.tiny_adapter import make_adapter, make_base

PASSED = Decision(True, "promoted: citation_recall gained")


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose registry holds two versions, the first one in Production."""
    folder = tmp_path_factory.mktemp("promoted")
    settings = Settings(home=folder / "home")
    base = make_base(folder / "base")
    registry = Registry(settings)
    for seed in (1, 2):
        registry.register(make_adapter(folder / f"adapter-{seed}", base, seed), {"faithfulness": 0.9}, PASSED, base)
    registry.promote(1)
    return settings


def adapter(settings: Settings, base_url: str) -> ProductionAdapter:
    return ProductionAdapter(with_model(settings, base_url), structlog.wrap_logger(None, processors=[drop]))


def drop(*_: object) -> None:
    raise structlog.DropEvent


def check(production: ProductionAdapter) -> None:
    production.follow_registry()
    production.keep_loaded()


def test_the_promoted_version_is_fetched_loaded_and_named(promoted: Settings, stand_in_model: StandInModel) -> None:
    production = adapter(promoted, stand_in_model.base_url)
    check(production)
    assert production.name() == "code-assistant:1"
    (loaded,) = stand_in_model.loaded
    assert loaded["lora_name"] == "code-assistant:1"
    assert (Path(loaded["lora_path"]) / "adapter_config.json").is_file()
    check(production)
    assert len(stand_in_model.loaded) == 1, "loaded twice"


def test_a_promotion_gets_a_new_name_and_a_new_path(promoted: Settings, stand_in_model: StandInModel) -> None:
    production = adapter(promoted, stand_in_model.base_url)
    check(production)
    Registry(promoted).promote(2)
    try:
        check(production)
        assert production.name() == "code-assistant:2"
        first, second = stand_in_model.loaded
        assert first["lora_path"] != second["lora_path"]
    finally:
        Registry(promoted).promote(1)


def test_a_vllm_that_was_restarted_gets_its_adapter_back(promoted: Settings, stand_in_model: StandInModel) -> None:
    production = adapter(promoted, stand_in_model.base_url)
    check(production)
    stand_in_model.models[:] = ["code-assistant-base"]
    production.keep_loaded()
    assert "code-assistant:1" in stand_in_model.models


def test_a_registry_that_is_away_goes_unnoticed(
    promoted: Settings, stand_in_model: StandInModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    production = adapter(promoted, stand_in_model.base_url)
    check(production)
    monkeypatch.setattr(Registry, "production", lambda _: 1 / 0)
    check(production)
    assert production.name() == "code-assistant:1"
    assert production.registry_problem


def test_an_adapter_that_vllm_refuses_leaves_the_former_one(promoted: Settings, stand_in_model: StandInModel) -> None:
    production = adapter(promoted, stand_in_model.base_url)
    check(production)
    stand_in_model.refuses = "rank 64 is greater than max_lora_rank 16"
    Registry(promoted).promote(2)
    try:
        check(production)
        assert production.name() == "code-assistant:1"
        assert "max_lora_rank" in production.adapter_problem
    finally:
        Registry(promoted).promote(1)


def test_a_model_that_is_away_still_has_an_adapter_to_name(promoted: Settings) -> None:
    production = adapter(promoted, "http://127.0.0.1:9/v1")
    check(production)
    assert production.name() == "code-assistant:1"
    assert "127.0.0.1:9" in production.model_problem


def test_an_answer_names_the_adapter_that_gave_it(
    start: Callable[..., Server], indexed: Settings, promoted: Settings, stand_in_model: StandInModel
) -> None:
    tracking = indexed.registry.model_copy(update={"tracking_uri": f"sqlite:///{promoted.home / 'mlflow.db'}"})
    settings = with_model(indexed, stand_in_model.base_url).model_copy(update={"registry": tracking})
    server = start(settings)
    deadline = time.monotonic() + 20
    while server.client.get("/model/info").json()["adapter"] is None and time.monotonic() < deadline:
        time.sleep(0.1)
    answer = server.ask("How is a wick trimmed?").json()
    assert (answer["mode"], answer["model"]) == ("llm", "code-assistant:1")
    assert stand_in_model.asked[-1]["model"] == "code-assistant:1"
