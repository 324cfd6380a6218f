"""vLLM is started once, comes back when it dies, and never outlives whoever started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cia.errors import AdapterError, OperationError, UnavailableError
from cia.settings import Settings
from inference_services.vllm_process import VllmProcess


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def engines(settings: Settings) -> list[int]:
    """The process ids of the stand-in's children, oldest first."""
    log = settings.home / "logs" / "vllm.log"
    return [int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("engine ")]


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_free_port_is_taken_and_reported(stand_in: Settings, model: Path) -> None:
    with VllmProcess(stand_in, model, adapters={"code-assistant:3": model}) as vllm:
        assert vllm.port != 0
        assert vllm.client.models() == [stand_in.model.base_model, "code-assistant:3"]


def test_stopping_ends_the_server_and_its_children(stand_in: Settings, model: Path) -> None:
    with VllmProcess(stand_in, model) as vllm:
        (engine,) = engines(stand_in)
        assert is_alive(engine)
    assert not is_alive(engine)
    assert not vllm.is_running()
    vllm.stop()


def test_it_is_restarted_with_the_adapters_that_were_loaded_later(stand_in: Settings, model: Path) -> None:
    with VllmProcess(stand_in, model) as vllm:
        vllm.load_adapter("code-assistant:4", model)
        (engine,) = engines(stand_in)
        os.kill(psutil.Process(engine).ppid(), signal.SIGKILL)
        assert wait_for(lambda: vllm.restarts == 1 and len(engines(stand_in)) == 2)
        assert not is_alive(engine), "the old engine would hold the memory that the new one needs"
        assert wait_for(lambda: answers(vllm, "code-assistant:4"))


def answers(vllm: VllmProcess, name: str) -> bool:
    try:
        return name in vllm.client.models()
    except UnavailableError:
        return False


def test_an_unloaded_adapter_is_gone(stand_in: Settings, model: Path) -> None:
    with VllmProcess(stand_in, model, adapters={"code-assistant:3": model}) as vllm:
        vllm.unload_adapter("code-assistant:3")
        assert vllm.client.models() == [stand_in.model.base_model]


def test_a_refused_adapter_says_why(stand_in: Settings, model: Path) -> None:
    with VllmProcess(stand_in, model) as vllm, pytest.raises(AdapterError, match="greater than max_lora_rank"):
        vllm.load_adapter("code-assistant:5", model / "broken")


def test_nothing_is_left_when_the_parent_is_killed(stand_in: Settings, model: Path) -> None:
    program = f"""
from pathlib import Path
from cia.settings import Settings
from inference_services.vllm_process import VllmProcess
import time
vllm = VllmProcess(Settings.model_validate_json({stand_in.model_dump_json()!r}), Path({str(model)!r}))
vllm.start()
print("ready", flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    processes = [child.pid for child in psutil.Process(parent.pid).children(recursive=True)]
    assert len(processes) == 3, "the leash, the server and its engine"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_for(lambda: not any(is_alive(pid) for pid in processes))


def test_a_server_that_cannot_start_shows_its_last_words(
    stand_in: Settings, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "not enough memory for the KV cache")
    with pytest.raises(OperationError, match="RuntimeError: not enough memory for the KV cache") as caught:
        VllmProcess(stand_in, model).start()
    assert "vllm.log" in str(caught.value)
    assert "loading weights" in str(caught.value)


def test_a_taken_port_is_refused_before_anything_starts(stand_in: Settings, model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OperationError, match="CIA_SERVING__PORT=0"):
            VllmProcess(stand_in, model, port=taken.getsockname()[1]).start()
    assert not (stand_in.home / "logs").exists()


def test_a_missing_interpreter_says_how_to_install_it(settings: Settings, model: Path) -> None:
    serving = settings.serving.model_copy(update={"vllm_python": "/nowhere/python"})
    with pytest.raises(UnavailableError, match="make setup"):
        VllmProcess(settings.model_copy(update={"serving": serving}), model).start()


def test_a_folder_without_a_model_is_refused(stand_in: Settings, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"config\.json is missing"):
        VllmProcess(stand_in, tmp_path / "empty").start()
