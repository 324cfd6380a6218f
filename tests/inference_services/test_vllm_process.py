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
from typing import Any

import psutil
import pytest

from cia.errors import AdapterError, OperationError, SettingsError, UnavailableError
from cia.settings import Settings
from inference_services import bounded_log, vllm_watch
from inference_services.vllm_process import VllmProcess
from tests.inference_services.stand_in_vllm import engines, is_alive, order


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_a_free_port_is_taken_and_reported(stand_in: Settings, model: Path) -> None:
    with VllmProcess(stand_in, model, adapters={"code-assistant:3": model}) as vllm:
        assert vllm.port != 0
        assert vllm.client.models() == [stand_in.model.base_model, "code-assistant:3"]


def test_stopping_ends_the_server_and_its_children(stand_in: Settings, model: Path) -> None:
    with VllmProcess(stand_in, model) as vllm:
        (engine,) = engines(stand_in.home)
        assert is_alive(engine)
    assert not is_alive(engine)
    assert not vllm.is_running()
    vllm.stop()


def test_it_is_restarted_with_the_adapters_that_were_loaded_later(stand_in: Settings, model: Path) -> None:
    with VllmProcess(stand_in, model) as vllm:
        vllm.load_adapter("code-assistant:4", model)
        (engine,) = engines(stand_in.home)
        os.kill(psutil.Process(engine).ppid(), signal.SIGKILL)
        assert wait_for(lambda: vllm.restarts == 1 and len(engines(stand_in.home)) == 2)
        assert not is_alive(engine), "the old engine would hold the memory that the new one needs"
        assert wait_for(lambda: answers(vllm, "code-assistant:4"))
        assert "died with exit code 137" in vllm.trouble, "137 is what the kernel's memory killer leaves too"


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


def with_serving(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"serving": settings.serving.model_copy(update=changes)})


def test_a_launch_does_not_wait_and_says_when_the_server_is_ready(
    stand_in: Settings, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = stand_in.home / "gate"
    monkeypatch.setenv("STAND_IN_WAITS_FOR", str(gate))
    told: list[str] = []
    vllm = VllmProcess(stand_in, model, tell=told.append)
    begun = time.monotonic()
    vllm.launch()
    try:
        assert time.monotonic() - begun < 1
        assert vllm.state == "starting"
        assert vllm.base_url.rpartition(":")[2] != "0/v1", "whoever is pointed at it must know the port"
        gate.touch()
        assert wait_for(lambda: vllm.state == "ready")
        assert [sentence.partition(" after")[0] for sentence in told] == ["vLLM is ready"]
        assert vllm.base_url in told[0]
    finally:
        vllm.stop()
    assert vllm.state == "stopped"


def test_a_stop_while_it_starts_leaves_nothing(stand_in: Settings, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_WAITS_FOR", "/nowhere")
    vllm = VllmProcess(stand_in, model)
    vllm.launch()
    assert wait_for(vllm.is_running)
    (leash,) = psutil.Process().children()
    vllm.stop()
    assert not leash.is_running()
    assert not vllm.is_running()


def test_a_server_that_hangs_is_ended_and_started_again(stand_in: Settings, model: Path) -> None:
    told: list[str] = []
    with VllmProcess(with_serving(stand_in, hang_seconds=3.0), model, tell=told.append) as vllm:
        (engine,) = engines(stand_in.home)
        order(vllm.base_url, "hang")
        assert wait_for(lambda: vllm.restarts == 1 and vllm.state == "ready")
        assert not is_alive(engine)
        assert "has not been healthy for" in vllm.trouble
        assert "has not been healthy for" in told[1]
        assert (vllm.client.models(), vllm.state) == ([stand_in.model.base_model], "ready")


def test_a_long_silence_that_was_hardly_asked_into_is_no_hang() -> None:
    watch = vllm_watch.HealthWatch("http://127.0.0.1:9", hang_seconds=0.2)
    assert watch.problem() == ""
    time.sleep(0.3)
    assert watch.problem() == "", "long silence, but asked twice only: this process may have been the one that slept"
    time.sleep(0.05)
    assert "not been healthy" in watch.problem()


def test_a_server_that_grows_too_large_is_started_again(stand_in: Settings, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_watch, "MEMORY_SECONDS", 0.2)
    with VllmProcess(with_serving(stand_in, memory_limit_gib=0.25), model) as vllm:
        assert 0.01 < vllm.memory_gib < 0.15
        time.sleep(1)
        assert vllm.restarts == 0
        order(vllm.base_url, "grow", mib=300)
        assert wait_for(lambda: vllm.restarts == 1 and vllm.state == "ready")
        assert "beyond 0.25 (serving.memory_limit_gib)" in vllm.trouble
        assert vllm.memory_gib < 0.15, "the child that took the memory is gone"
        assert "serving.memory_limit_gib" in (stand_in.home / "logs" / "vllm.log").read_text()


def test_a_crash_loop_is_told_with_its_cause_and_waits_longer_each_time(
    stand_in: Settings, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference_services.vllm_process.FIRST_BACKOFF_SECONDS", 0.2)
    told: list[tuple[float, str]] = []
    with VllmProcess(stand_in, model, tell=lambda sentence: told.append((time.monotonic(), sentence))) as vllm:
        (engine,) = engines(stand_in.home)
        monkeypatch.setenv("STAND_IN_FAILS", "no memory left")
        os.kill(psutil.Process(engine).ppid(), signal.SIGKILL)
        assert wait_for(lambda: sum("no memory left" in sentence for _, sentence in told) >= 3)
        assert vllm.state == "restarting"
        assert vllm.restarts >= 3
        assert "could not start: RuntimeError: no memory left" in vllm.trouble
        moments = [moment for moment, sentence in told if "no memory left" in sentence]
        assert moments[2] - moments[1] > moments[1] - moments[0] + 0.2
        monkeypatch.delenv("STAND_IN_FAILS")
        assert wait_for(lambda: vllm.state == "ready"), "it comes back once the cause is gone"


def test_a_server_that_never_gets_ready_is_given_up(stand_in: Settings, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_WAITS_FOR", "/nowhere")
    with pytest.raises(OperationError, match=r"was not ready after 1 s \(serving.start_timeout_seconds\)"):
        VllmProcess(with_serving(stand_in, start_timeout_seconds=1.0), model).start()
    assert not psutil.Process().children()


def test_the_log_of_a_talkative_server_stays_small_and_keeps_its_end(
    stand_in: Settings, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_log.BoundedLog.__init__, "__defaults__", (100_000,))
    log = stand_in.home / "logs" / "vllm.log"
    with VllmProcess(stand_in, model) as vllm:
        for _ in range(4):
            order(vllm.base_url, "say", lines=1500)
            assert wait_for(lambda: log.stat().st_size < 100_000)
        assert wait_for(lambda: log.read_text().splitlines()[-1:] == [f"line 1499 {'x' * 100}"])
        assert "\0" not in log.read_text()
        assert 0 < log.with_name("vllm.log.1").stat().st_size <= 100_000


def test_the_log_of_the_run_before_is_kept(stand_in: Settings, model: Path) -> None:
    for _ in range(2):
        with VllmProcess(stand_in, model) as vllm:
            order(vllm.base_url, "say", lines=1)
    assert len(engines(stand_in.home)) == 1
    assert "engine" in (stand_in.home / "logs" / "vllm.log.1").read_text()


def test_the_last_words_name_the_cause_and_not_what_points_to_it(tmp_path: Path) -> None:
    log = bounded_log.BoundedLog(tmp_path / "vllm.log")
    log.begin()
    with log.open() as file:
        file.write(b"ValueError: of the run before\n")
    log.note("vLLM died")
    with log.open() as file:
        file.write(b"(EngineCore) ValueError: rank 64\n" + b"at a line\n" * 40)
        file.write(b"RuntimeError: Engine core initialization failed. See root cause above.\n")
    cause, lines = log.last_words(lines=3)
    assert cause == "(EngineCore) ValueError: rank 64"
    assert len(lines) == 3
    log.note("vLLM is ready")
    assert log.last_words() == ("no error message", []), "what was said before is of another run"


def test_a_name_on_the_hub_is_passed_on_and_a_folder_is_made_absolute(
    stand_in: Settings, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    for given, loaded in (("org/name", "org/name"), (model.name, str(model))):
        with VllmProcess(stand_in, given):
            (server,) = [child for child in psutil.Process().children(recursive=True) if "--model" in child.cmdline()][:1]
            arguments = server.cmdline()
            assert arguments[arguments.index("--model") + 1] == loaded
    with pytest.raises(OperationError, match=r"config\.json is missing"):
        VllmProcess(stand_in, "./nowhere").launch()


def test_settings_that_vllm_would_refuse_are_told_at_once(stand_in: Settings, model: Path) -> None:
    with pytest.raises(SettingsError, match=r"serving\.adapters_in_memory"):
        VllmProcess(with_serving(stand_in, adapters_in_memory=1, max_adapters=2), model).launch()
    assert not psutil.Process().children()
