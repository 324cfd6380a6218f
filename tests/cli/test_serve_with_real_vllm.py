"""`cia serve --with-vllm` with vLLM itself: one command from a registry with a promoted adapter to answers, deaths included."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from cia.registry import Registry
from cia.retrieval import Indexer
from cli.main import run
from cli.running_server import RunningServer, key_of_user, running_server
from inference_services.vllm_arguments import VLLM_MODULE
from runtimes.base_model import install_base
from tests.inference_services.real_vllm import PASSED, VLLM_PYTHON, tiny_settings
from tests.rag_server.tiny_adapter import make_adapter


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def below(server: RunningServer) -> list[psutil.Process]:
    return psutil.Process(server.pid).children(recursive=True)


@pytest.mark.slow
@pytest.mark.skipif(not VLLM_PYTHON.exists(), reason="vLLM's environment is not installed (make setup)")
def test_one_command_serves_what_is_promoted_and_brings_it_back_after_a_death(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lantern").mkdir()
    (tmp_path / "lantern" / "wick.py").write_text('def trim() -> None:\n    """Trim the wick of the lantern."""\n')
    settings = tiny_settings(tmp_path)
    Indexer(settings).index(str(tmp_path / "lantern"))
    base = install_base(tmp_path / "models")
    registry = Registry(settings)
    for seed in (1, 2):
        registry.register(make_adapter(tmp_path / f"adapter-{seed}", base, seed), {}, PASSED, base)
    registry.promote(1)
    headers = {"Authorization": f"Bearer {key_of_user(settings, 'alice')}"}

    with running_server(settings, "--with-vllm") as server:

        def ask() -> dict[str, Any]:
            body = {"question": "What trims the wick?"}
            reply = httpx.post(f"{server.address}/v1/ask", json=body, headers=headers, timeout=120)
            return reply.raise_for_status().json()

        def answers_by(name: str) -> bool:
            return httpx.get(f"{server.address}/model/info", headers=headers, timeout=30).json()["model"] == name

        assert ask()["mode"] == "extractive", "it does not wait for vLLM"
        ready = server.wait_for_vllm(400)
        assert wait_for(lambda: answers_by("code-assistant:1"), 60)
        # A random model writes nonsense, which the assistant notices: what counts is that it was asked.
        answer = ask()
        assert answer["mode"] == "llm" or "failed" not in answer["fallback_reason"]

        assert run(["bench", "load", ready.split()[-1], "--rate", "2", "--seconds", "3", "--answer-tokens", "4", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["errors"] == {}
        assert report["answered_by"] == {settings.model.base_model: report["requests"]}
        assert 0 < report["first_token"]["p50"] <= report["latency"]["p50"]

        registry.promote(2)
        assert wait_for(lambda: answers_by("code-assistant:2"), 30)
        next(one for one in below(server) if VLLM_MODULE in one.cmdline() and "cia.leash" not in one.cmdline()).kill()
        assert ask()["mode"] == "extractive"
        assert server.lines.get(timeout=60).startswith("vLLM died")  # type: ignore[union-attr]
        server.wait_for_vllm(400)
        assert wait_for(lambda: answers_by("code-assistant:2"), 60), "the adapter is back without a hand"
        running = below(server)
    assert psutil.wait_procs(running, timeout=15)[1] == []
