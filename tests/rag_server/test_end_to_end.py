"""From a promotion to an answer: real MLflow, real vLLM with its resolver and a small random Llama, and the real server."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from cia.registry import Registry
from cia.settings import Settings
from inference_services.vllm_arguments import VLLM_MODULE
from inference_services.vllm_process import VllmProcess
from runtimes.base_model import install_base
from tests.rag_server.conftest import PASSED
from tests.rag_server.running_server import Server, add_user, with_model
from tests.rag_server.tiny_adapter import make_adapter

pytestmark = pytest.mark.slow

QUESTION = "How is a wick trimmed?"
FIRST, SECOND, DAMAGED = "code-assistant:1", "code-assistant:2", "code-assistant:3"
SOON = 5.0
"""Seconds within which a promotion is to take effect."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry of its own, as those of other tests hold what this one promotes for nobody."""
    return Registry(Settings(home=tmp_path_factory.mktemp("registry") / "home"))


@pytest.fixture(scope="module")
def prepared(indexed: Settings, registry: Registry, vllm_python: Path) -> Settings:
    """The index of ``lantern``, with a vLLM on a free port."""
    serving = indexed.serving.model_copy(
        update={"vllm_python": str(vllm_python), "port": 0, "cpu_threads": 1, "start_timeout_seconds": 400.0}
    )
    tracking = indexed.registry.model_copy(update={"tracking_uri": registry._uri})
    return indexed.model_copy(update={"serving": serving, "registry": tracking})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_base(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def vllm(prepared: Settings, registry: Registry, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmProcess]:
    """vLLM over a registry of three versions, the first in Production, the third damaged since it was registered."""
    folder = tmp_path_factory.mktemp("adapters")
    for seed in (1, 2, 3):
        registry.register(make_adapter(folder / f"adapter-{seed}", base, seed), {"faithfulness": 0.9}, PASSED, base)
    registry.promote(1)
    artifacts = registry._settings.home / "mlartifacts"
    (weights,) = artifacts.rglob(f"{registry.get(3).run_id}/artifacts/adapter/adapter_model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with VllmProcess(prepared, base) as vllm:
        yield vllm


@pytest.fixture
def server(start: Callable[..., Server], prepared: Settings, vllm: VllmProcess) -> Server:
    """The server beside that vLLM, when the first version answers. Whatever a test does, that one is in Production."""
    server = start(with_model(prepared, vllm.base_url, timeout_seconds=60.0, answer_tokens=500))
    assert wait_for(lambda: adapter(server) == FIRST, 60), server.log
    return server


@pytest.fixture(autouse=True)
def _as_it_was(registry: Registry) -> Iterator[None]:
    yield
    registry.stop_canary("aborted", by="test", why="over")
    registry.promote(1)


def adapter(server: Server) -> str | None:
    name: str | None = server.client.get("/model/info").json()["adapter"]
    return name


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def answered_by(server: Server, name: str) -> bool:
    # A random model writes nonsense, which the assistant notices: what counts is that it was asked, and what came of it.
    answer = server.ask(QUESTION).json()
    return bool(answer["asked_model"] == name and answer["citations"] and "failed" not in answer["fallback_reason"])


@dataclass(frozen=True)
class Told:
    """A streamed answer, and when it was asked for and over."""

    asked: float
    over: float
    answer: dict[str, Any]


@contextlib.contextmanager
def streams(server: Server, vllm: VllmProcess, count: int = 4) -> Iterator[list[Told]]:
    """Keep ``count`` streams running, and run the block when vLLM is at work; what is yielded holds all answers at the end."""
    told: list[Told] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            asked = time.monotonic()
            answer = server.events(QUESTION)[-1][1]
            told.append(Told(asked, time.monotonic(), answer))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        assert wait_for(lambda: running(vllm) > 0, 30), "no question reached vLLM"
        yield told
    finally:
        enough.set()
        for thread in threads:
            thread.join(180)


def running(vllm: VllmProcess) -> float:
    metrics = httpx.get(f"http://127.0.0.1:{vllm.port}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in metrics if line.startswith("vllm:num_requests_running{"))


def test_a_promotion_and_a_rollback_reach_new_questions_at_once_and_running_streams_end_as_they_began(
    server: Server, registry: Registry, vllm: VllmProcess
) -> None:
    assert answered_by(server, FIRST), server.log
    for move, former, name in ((lambda: registry.promote(2), FIRST, SECOND), (registry.rollback, SECOND, FIRST)):
        with streams(server, vllm) as told:
            begun = time.monotonic()
            move()
            assert wait_for(lambda name=name: adapter(server) == name, SOON)
            switched = time.monotonic()
            assert wait_for(lambda told=told, switched=switched: any(one.asked > switched for one in told), 60)
        assert not [one for one in told if "failed" in one.answer["fallback_reason"] or not one.answer["citations"]]
        across = {one.answer["asked_model"] for one in told if one.asked < begun < one.over}
        assert across == {former}, "no stream was running, or one changed its version"
        assert {one.answer["asked_model"] for one in told if one.asked > switched} == {name}


def test_a_version_that_cannot_be_loaded_leaves_the_one_before(server: Server, registry: Registry) -> None:
    # `promote` would have seen it; somebody else's hands do not look.
    registry._client.set_registered_model_alias("code-assistant", "Production", "3")
    assert wait_for(lambda: server.metric("cia_adapter_problem") == 1, 20)
    (model,) = [one for one in server.client.get("/readyz").json()["dependencies"] if one["name"] == "model"]
    assert model["state"] == "ok"
    assert f"{DAMAGED} cannot be served" in model["detail"]
    assert f"{FIRST} goes on answering" in model["detail"]
    assert answered_by(server, FIRST)
    registry._client.set_registered_model_alias("code-assistant", "Production", "2")
    assert wait_for(lambda: adapter(server) == SECOND, SOON), "the refused version holds up the next one"
    assert answered_by(server, SECOND)


def test_a_version_on_trial_answers_its_users_beside_production(server: Server, registry: Registry, prepared: Settings) -> None:
    canary = registry.start_canary(2, 50, by="test")
    names = [f"end-to-end-{number}" for number in range(20)]
    user = next(name for name in names if canary.answers(name))
    theirs = server.acting_as(add_user(prepared, user, "lantern"))
    assert wait_for(lambda: adapter(theirs) == SECOND, SOON)
    assert adapter(server) == (SECOND if canary.answers("admin") else FIRST)
    assert answered_by(theirs, SECOND)


def test_kill_9_reaches_nobody_and_the_adapter_is_back_without_a_hand(
    server: Server, registry: Registry, vllm: VllmProcess
) -> None:
    registry.promote(2)
    assert wait_for(lambda: adapter(server) == SECOND, SOON)
    with streams(server, vllm) as told:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if VLLM_MODULE in process.cmdline():
                    os.kill(process.pid, signal.SIGKILL)
        answer = server.ask(QUESTION).json()
        assert (answer["mode"], bool(answer["citations"])) == ("extractive", True)
        assert vllm.base_url in answer["fallback_reason"]
    assert all(one.answer["citations"] for one in told)
    assert wait_for(lambda: server.metric('cia_dependency_up{dependency="model"}') == 0, 20)
    assert wait_for(lambda: answered_by(server, SECOND), 240), "the restarted vLLM did not get its adapter back"
    assert SECOND in vllm.client.models()
