"""The volume is filled from a hub, here one on the loopback interface that speaks as much of its protocol as a download needs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": b"weights" * 1000,
    "1_Pooling/config.json": b"{}",
    "modeling_x.py": b"print('run me')",
    "pytorch_model.bin": b"pickled",
}
COMMIT = "a" * 40


@dataclass
class Hub:
    """A hub with one model, ``org/small``, that counts what it is asked for and fails on the file ``broken``."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    broken: str | None = None
    asked: list[str] = field(default_factory=list)

    def fill(self, volume: Path, *models: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": self.url, "HF_HOME": str(volume / ".hub"), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-m", "inference_services.fill_model_volume", str(volume), *models]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            state.asked.append(self.path)
            name = self.path.partition("?")[0].partition("/resolve/")[2].partition("/")[2]
            if not self.path.startswith(("/api/models/org/small", "/org/small/")) or name == state.broken:
                return self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            if name:
                return self.reply(200, state.files[name], {})
            siblings = [{"rfilename": file, "size": len(data), "blobId": "0" * 40} for file, data in state.files.items()]
            if "/tree/" in self.path:
                siblings = [
                    {"type": "file", "path": file, "size": len(data), "oid": "0" * 40} for file, data in state.files.items()
                ]
                return self.reply(200, json.dumps(siblings).encode(), {})
            return self.reply(200, json.dumps({"id": "org/small", "sha": COMMIT, "siblings": siblings}).encode(), {})

        def reply(self, code: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(code)
            etag = hashlib.sha1(body).hexdigest()
            known = {"Content-Length": str(len(body)), "Content-Type": "application/json", "ETag": f'"{etag}"'}
            for header, value in (known | {"X-Repo-Commit": COMMIT} | headers).items():
                self.send_header(header, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_model_is_fetched_once_and_whole_and_without_code(hub: Hub, tmp_path: Path) -> None:
    done = hub.fill(tmp_path, "org/small@main")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "org" / "small" / "main"
    assert contents(folder) == {"config.json", "model.safetensors", "1_Pooling/config.json"}
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    asked = len(hub.asked)
    assert hub.fill(tmp_path, "org/small@main").returncode == 0
    assert len(hub.asked) == asked


def test_a_download_that_breaks_leaves_no_half_model_and_is_carried_on(hub: Hub, tmp_path: Path) -> None:
    hub.broken = "model.safetensors"
    done = hub.fill(tmp_path, "org/small@main")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: org/small@main cannot be fetched: ")
    assert not (tmp_path / "org").exists()
    hub.broken = None
    assert hub.fill(tmp_path, "org/small@main").returncode == 0
    assert (tmp_path / "org" / "small" / "main" / "model.safetensors").exists()


def test_a_model_without_safetensors_is_refused(hub: Hub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    done = hub.fill(tmp_path, "org/small@main")
    assert done.returncode == 1
    assert "has no weights as safetensors" in done.stderr
    assert not (tmp_path / "org").exists()


def test_a_model_with_no_revision_is_refused(hub: Hub, tmp_path: Path) -> None:
    done = hub.fill(tmp_path, "org/small")
    assert done.returncode == 2
    assert done.stderr == "error: org/small names no revision; write org/small@main, or a commit\n"
    assert hub.asked == []
