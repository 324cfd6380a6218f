"""A repository behind a password, fetched by real git from a server that asks for it."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cia.corpus import Corpus
from cia.corpus.private_git import PASSWORD, USERNAME, credential_environment
from cia.errors import CiaError
from cia.settings import Settings

SECRET = "s3cr%t$(x) \\n'\""


class Private(SimpleHTTPRequestHandler):
    """Git's plain HTTP protocol: files, for who knows the password."""

    def send_head(self) -> object:  # type: ignore[override]
        if self.headers.get("Authorization") == "Basic " + base64.b64encode(f"robot:{SECRET}".encode()).decode():
            return super().send_head()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()
        return None

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server with the repository ``app.git``."""
    work, bare = tmp_path / "work", tmp_path / "served" / "app.git"
    work.mkdir()
    (work / "app.py").write_text("x = 1\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (
        ["init", "-q"],
        ["add", "."],
        [*identity, "commit", "-qm", "begin"],
        ["clone", "-q", "--bare", ".", str(bare)],
    ):
        subprocess.run(["git", *command], cwd=work, check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Private, directory=str(bare.parent)))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def fetch(settings: Settings, server: str, named: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name, value in (credential_environment(named) | {USERNAME: "robot", PASSWORD: SECRET}).items():
        monkeypatch.setenv(name, value)
    return [file.path for file in Corpus(settings).add(f"{server}/app.git").files]


def test_the_server_that_is_named_gets_the_password(server: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch(settings, server, f"{server}/", monkeypatch) == ["app.py"]


def test_no_other_server_gets_it(server: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CiaError):
        fetch(settings, server, "http://127.0.0.1:1", monkeypatch)


def test_no_variable_of_gits_holds_it_nor_what_kubernetes_would_fill_in() -> None:
    values = credential_environment("https://git.example.com").values()
    assert not any("$(" in value for value in values)
