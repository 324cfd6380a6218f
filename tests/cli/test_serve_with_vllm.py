"""`cia serve --with-vllm`: one command, two servers, and neither is left behind. vLLM is a stand-in here."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from cia.errors import OperationError
from cia.retrieval import Indexer
from cia.settings import Settings, load_settings
from cli.running_server import RunningServer, key_of_user, running_server
from tests.inference_services.stand_in_vllm import engines, is_alive, write_model, write_stand_in
from tests.rag_server.running_server import UNHURRIED


@pytest.fixture
def prepared(tmp_path: Path) -> Settings:
    """An index of one file, a vLLM that is the stand-in, and a folder that looks like a model."""
    (tmp_path / "lantern").mkdir()
    (tmp_path / "lantern" / "wick.py").write_text('def trim() -> None:\n    """Trim the wick of the lantern."""\n')
    settings = load_settings(environment={"CIA_HOME": str(tmp_path / "home")})
    Indexer(settings).index(str(tmp_path / "lantern"))
    serving = {
        "vllm_python": str(write_stand_in(tmp_path / "python")),
        "model": str(write_model(tmp_path / "model")),
        "port": 0,
        "start_timeout_seconds": 60.0,
    }
    return settings.model_copy(update={"serving": settings.serving.model_copy(update=serving)})


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def family(server: RunningServer) -> list[psutil.Process]:
    leash = psutil.Process(server.pid)
    return [leash, *leash.children(recursive=True)]


def serves_vllm(server: RunningServer) -> bool:
    document = httpx.get(f"{server.address}/readyz", timeout=10).json()
    return any(one["name"] == "model" and one["state"] == "ok" for one in document["dependencies"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_answers_before_the_model_does_and_says_when_that_is_ready(prepared: Settings, workers: str) -> None:
    options, gate = ("--with-vllm", "--workers", workers), prepared.home / "gate"
    with running_server(prepared, *options, environment={**UNHURRIED, "STAND_IN_WAITS_FOR": str(gate)}) as server:
        headers = {"Authorization": f"Bearer {key_of_user(prepared, 'alice')}"}
        reply = httpx.post(f"{server.address}/v1/ask", json={"question": "What trims the wick?"}, headers=headers, timeout=30)
        answer = reply.raise_for_status().json()
        assert (answer["mode"], answer["citations"][0]["file_path"]) == ("extractive", "wick.py")
        assert engines(prepared.home) == [], "vLLM was starting all that time"
        gate.touch()
        assert "http://127.0.0.1:" in server.wait_for_vllm(60)
        assert wait_for(lambda: serves_vllm(server))
        running = family(server)
        assert len(engines(prepared.home)) == 1
    assert not any(process.is_running() for process in running)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_ends_both(prepared: Settings, end: signal.Signals) -> None:
    with running_server(prepared, "--with-vllm") as server:
        server.wait_for_vllm(60)
        leash, serve, *rest = family(server)
        assert len(rest) >= 3, "the leash of vLLM, vLLM and its engine"
        serve.send_signal(end)
        leash.wait(40)
        assert not any(is_alive(process.pid) for process in rest)


def test_nothing_is_left_when_it_is_killed(prepared: Settings) -> None:
    with running_server(prepared, "--with-vllm") as server:
        server.wait_for_vllm(60)
        _, serve, *rest = family(server)
        serve.kill()
        assert wait_for(lambda: not any(is_alive(process.pid) for process in rest))


def test_a_taken_address_ends_vllm_too(prepared: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with (
            pytest.raises(OperationError, match=f"cannot listen on 127.0.0.1:{port}"),
            running_server(prepared, "--with-vllm", "--port", port),
        ):
            pass
    assert not [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]


def test_a_vllm_that_cannot_start_is_told_and_leaves_the_answers_standing(prepared: Settings) -> None:
    with running_server(prepared, "--with-vllm", environment={"STAND_IN_FAILS": "no memory left"}) as server:
        with pytest.raises(OperationError, match=r"RuntimeError: no memory left.*starting it again in"):
            server.wait_for_vllm(60)
        assert httpx.get(f"{server.address}/readyz", timeout=10).status_code == 200


def test_without_an_adapter_it_serves_the_base_that_adapters_will_be_trained_on(prepared: Settings) -> None:
    serving = prepared.serving.model_copy(update={"model": None})
    with running_server(prepared.model_copy(update={"serving": serving}), "--with-vllm") as server:
        server.wait_for_vllm(60)
        (base,) = (prepared.home / "models").glob("code-assistant-base-*")
        assert any(str(base) in process.cmdline() for process in family(server))


def test_a_second_model_server_is_refused(prepared: Settings) -> None:
    model = prepared.model.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    settings = prepared.model_copy(update={"model": model})
    with pytest.raises(OperationError, match=r"unset it for --with-vllm"), running_server(settings, "--with-vllm"):
        pass


def test_the_first_administrators_key_is_known_and_that_of_a_home_that_has_one_is_left_alone(prepared: Settings) -> None:
    keys = []
    for _ in range(2):
        with running_server(prepared) as server:
            keys.append(server.admin_key)
            headers = {"Authorization": f"Bearer {keys[0]}"}
            assert httpx.get(f"{server.address}/v1/me", headers=headers, timeout=10).json()["user"] == "admin"
    assert keys[1] is None


def test_nothing_but_the_settings_given_reaches_the_server(prepared: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIA_HOME", "/nowhere")
    monkeypatch.setitem(os.environ, "CIA_RAG__WORKERS", "nonsense")
    with running_server(prepared) as server:
        assert httpx.get(f"{server.address}/readyz", timeout=10).status_code == 200
