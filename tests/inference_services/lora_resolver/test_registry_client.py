"""The registry as it really answers: an MLflow server, a database, and the many ways in which either does not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.settings import load_settings
from code_assistant_lora_resolver import checks
from code_assistant_lora_resolver.errors import AdapterRefused, NoSuchAdapter, NotNow, RegistryAway
from code_assistant_lora_resolver.registry_client import FILES, RegistryClient
from tests.inference_services.lora_resolver.conftest import Registered
from tests.rag_server.tiny_adapter import make_adapter, make_base


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second instead of five, so that the bound is seen without waiting for it."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server on the loopback interface, which also stores the artifacts."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, "MLflow could not start"
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("MLflow did not start")


@pytest.mark.slow
def test_a_version_comes_from_an_mlflow_server(mlflow_server: str, tmp_path: Path) -> None:
    settings = load_settings(environment={"CIA_HOME": str(tmp_path / "home"), "CIA_REGISTRY__TRACKING_URI": mlflow_server})
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "adapter", base)
    Registry(settings).register(adapter, {}, Decision(True, "better"), base)

    client = RegistryClient(mlflow_server, "code-assistant")
    client.warm()
    version = client.describe(1)
    assert version.base_model == str(base)
    assert client.size(version) == sum((adapter / name).stat().st_size for name in FILES)
    files = tmp_path / "files"
    files.mkdir()
    client.download(version, files)
    assert {path.name for path in files.iterdir()} == set(FILES)
    assert checks.is_intact(files, version.checksums)

    with pytest.raises(NoSuchAdapter, match="the registry has no code-assistant:2"):
        client.describe(2)


def answering(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def error_500(request: BaseHTTPRequestHandler) -> None:
    request.send_error(500, "the database is locked")


def nothing_here(request: BaseHTTPRequestHandler) -> None:
    request.send_error(404, "no such page")


def hang(request: BaseHTTPRequestHandler) -> None:
    time.sleep(10)


def rubbish(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(b"<html>welcome</html>")


def cut_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"model_version"')


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("respond", [error_500, nothing_here, hang, rubbish, cut_off])
def test_a_registry_that_answers_badly_is_away_and_says_so_in_time(respond: Callable[[BaseHTTPRequestHandler], None]) -> None:
    for address in answering(respond):
        client = RegistryClient(address, "code-assistant")
        begun = time.monotonic()
        with pytest.raises(RegistryAway, match=f"the registry at {address} does not answer"):
            client.describe(7)
        assert time.monotonic() - begun < 8


@pytest.mark.usefixtures("_quick")
def test_a_registry_that_is_not_there_is_away() -> None:
    with pytest.raises(RegistryAway, match="does not answer"):
        RegistryClient("http://127.0.0.1:1", "code-assistant").describe(7)


@pytest.mark.usefixtures("_quick")
def test_a_password_in_the_address_is_told_nobody() -> None:
    with pytest.raises(RegistryAway) as caught:
        RegistryClient("http://user:secret@127.0.0.1:1", "code-assistant").describe(7)
    assert "secret" not in str(caught.value)


def test_the_client_waits_for_seconds_not_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    RegistryClient("http://127.0.0.1:1", "code-assistant")
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

    assert MLFLOW_HTTP_REQUEST_TIMEOUT.get() * (1 + MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()) <= 12


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    client = RegistryClient(f"sqlite:///{file}", "code-assistant")
    client.warm()
    with pytest.raises(RegistryAway, match=r"there is no registry at .* yet"):
        client.describe(7)
    assert not file.exists()


def test_a_database_that_is_none_is_away(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(RegistryAway, match="does not answer"):
        RegistryClient(f"sqlite:///{tmp_path}/mlflow.db", "code-assistant").describe(7)


def test_a_disk_that_fills_while_a_file_arrives_is_said(
    registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = RegistryClient(registered.uri, "code-assistant")
    version = client.describe(registered.register())
    monkeypatch.setattr("shutil.copy2", _no_space)
    with pytest.raises(NotNow, match="no space is left") as caught:
        client.download(version, tmp_path)
    assert not isinstance(caught.value, RegistryAway)


def _no_space(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_that_went_between_the_look_and_the_fetch_is_gone(registered: Registered, tmp_path: Path) -> None:
    client = RegistryClient(registered.uri, "code-assistant")
    version = client.describe(registered.register(lambda adapter: (adapter / FILES[1]).unlink()))
    with pytest.raises(AdapterRefused, match="are gone from the registry"):
        client.download(version, tmp_path)
