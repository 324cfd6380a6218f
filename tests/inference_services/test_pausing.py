"""The served model steps aside for a training, and nobody else's stop is undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cia.errors import UnavailableError
from cia.settings import Settings, load_settings
from inference_services.pausing import PAUSED_BY, STOP, pause_for, paused_for, resume_after
from tests.kubeconfig import use_kubeconfig

SERVICE = "/apis/serving.kserve.io/v1beta1/namespaces/code-assistant/inferenceservices/code-assistant"


class OneService(ThreadingHTTPServer):
    """An API server that holds one InferenceService, or none; a write on an older version gets 409."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.annotations: dict[str, str] | None = {}
        self.version = 1
        self.status = 200
        self.before_write: Callable[[], None] = lambda: None

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path != SERVICE or self.annotations is None:
            return 404, {"kind": "Status"}
        if self.status != 200:
            return self.status, {"kind": "Status"}
        if method == "PATCH":
            self.before_write()
            if body["metadata"]["resourceVersion"] != str(self.version):
                return 409, {"kind": "Status"}
            merged = {**self.annotations, **body["metadata"]["annotations"]}
            self.write({name: value for name, value in merged.items() if value is not None})
        return 200, {"metadata": {"annotations": self.annotations, "resourceVersion": str(self.version)}}

    def write(self, annotations: dict[str, str]) -> None:
        self.annotations, self.version = annotations, self.version + 1


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = self.server.answer(self.command, self.path, json.loads(sent) if sent else None)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    do_GET = do_PATCH = _answer

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneService]:
    server = OneService()
    use_kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}", monkeypatch)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings() -> Settings:
    return load_settings("cluster", environment={})


def test_a_training_has_the_service_stopped_and_started_again(cluster: OneService, settings: Settings) -> None:
    cluster.write({"theirs": "kept"})
    assert pause_for(settings, "job-1")
    assert cluster.annotations == {"theirs": "kept", STOP: "true", PAUSED_BY: "job-1"}
    assert paused_for(settings) == "job-1"
    assert resume_after(settings, "job-1")
    assert cluster.annotations == {"theirs": "kept"}
    assert not resume_after(settings, "job-1")


def test_asking_twice_for_the_same_job_is_asking_once(cluster: OneService, settings: Settings) -> None:
    assert pause_for(settings, "job-1")
    version = cluster.version
    assert pause_for(settings, "job-1")
    assert cluster.version == version


@pytest.mark.parametrize("theirs", [{STOP: "true"}, {STOP: "true", PAUSED_BY: "job-2"}])
def test_what_somebody_else_has_stopped_stays_stopped(cluster: OneService, settings: Settings, theirs: dict[str, str]) -> None:
    cluster.write(theirs)
    assert not pause_for(settings, "job-1")
    assert not resume_after(settings, "job-1")
    assert cluster.annotations == theirs


def test_a_write_in_between_is_read_before_the_next_try(cluster: OneService, settings: Settings) -> None:
    def somebody_else() -> None:
        cluster.before_write = lambda: None
        cluster.write({STOP: "true", PAUSED_BY: "job-2"})

    cluster.before_write = somebody_else
    assert not pause_for(settings, "job-1")
    assert cluster.annotations == {STOP: "true", PAUSED_BY: "job-2"}


def test_without_a_service_there_is_nothing_to_pause(cluster: OneService, settings: Settings) -> None:
    cluster.annotations = None
    assert not pause_for(settings, "job-1")
    assert not resume_after(settings, "job-1")


def test_a_missing_right_is_said(cluster: OneService, settings: Settings) -> None:
    cluster.status = 403
    with pytest.raises(UnavailableError, match=r"InferenceService code-assistant in code-assistant cannot be paused .*403"):
        pause_for(settings, "job-1")
