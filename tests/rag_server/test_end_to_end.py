"""From a promoted adapter to an answer: real MLflow, real vLLM with a small random Llama, and the real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.settings import Settings
from inference_services.vllm_process import VllmProcess
from runtimes.base_model import make_base_model
from tests.rag_server.conftest import HOSTILE, WICK
from tests.rag_server.running_server import Server, with_model
from tests.rag_server.tiny_adapter import make_adapter

pytestmark = pytest.mark.slow
PASSED = Decision(True, "promoted: citation_recall gained")


@pytest.fixture(scope="module")
def prepared(indexed: Settings, vllm_python: Path) -> Settings:
    """The index of ``lantern``, with a vLLM on a free port and a base model that takes seconds to make."""
    training = indexed.training.model_copy(update={"base_steps": 2, "base_tokens": 64})
    serving = indexed.serving.model_copy(
        update={"vllm_python": str(vllm_python), "port": 0, "cpu_threads": 1, "start_timeout_seconds": 400.0}
    )
    return indexed.model_copy(update={"training": training, "serving": serving})


@pytest.fixture(scope="module")
def base(prepared: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [f"{WICK}\n# {number}" for number in range(20)] + [HOSTILE]
    return make_base_model(texts, tmp_path_factory.mktemp("models"), prepared).path


@pytest.fixture(scope="module")
def vllm(prepared: Settings, base: Path) -> Iterator[VllmProcess]:
    with VllmProcess(prepared, base) as vllm:
        yield vllm


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_promotions_reach_vllm_and_its_death_reaches_nobody(
    start: Callable[..., Server], prepared: Settings, base: Path, vllm: VllmProcess, tmp_path: Path
) -> None:
    registry = Registry(prepared)
    for seed in (1, 2):
        registry.register(make_adapter(tmp_path / f"adapter-{seed}", base, seed), {"faithfulness": 0.9}, PASSED, base)
    registry.promote(1)
    server = start(with_model(prepared, vllm.base_url, timeout_seconds=60.0, answer_tokens=12))

    def adapter() -> str | None:
        return server.client.get("/model/info").json()["adapter"]

    assert wait_for(lambda: adapter() == "code-assistant:1", 60)
    assert wait_for(lambda: "code-assistant:1" in vllm.client.models(), 30)
    # A random model writes nonsense, which the assistant notices: what counts is that it was asked, and what came of it.
    reply = server.ask("How is a wick trimmed?")
    assert reply.status_code == 200, server.log
    answer = reply.json()
    assert answer["citations"]
    assert answer["mode"] == "llm" or answer["fallback_reason"]
    assert "failed" not in answer["fallback_reason"], "vLLM refused the request"

    registry.promote(2)
    assert wait_for(lambda: adapter() == "code-assistant:2", 30)
    assert wait_for(lambda: {"code-assistant:1", "code-assistant:2"} <= set(vllm.client.models()), 30)

    questions = [threading.Thread(target=server.ask, args=("How bright is a wick?",)) for _ in range(3)]
    for question in questions:
        question.start()
    vllm.stop()
    for question in questions:
        question.join(120)
    answer = server.ask("How is a wick trimmed?").json()
    assert (answer["mode"], bool(answer["citations"])) == ("extractive", True)
    assert vllm.base_url in answer["fallback_reason"]
    vllm.start()
    assert wait_for(lambda: "code-assistant:2" in vllm.client.models(), 60), "the restarted vLLM did not get its adapter back"
