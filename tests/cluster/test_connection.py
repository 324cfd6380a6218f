"""A kubeconfig, a context or credentials that do not hold are each one sentence."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cia.errors import InputError, UnavailableError
from cluster.connection import connect

KUBECONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "dev",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("dev", "staging")],
}
Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    def write(text: str | None = None, server: str = "http://127.0.0.1:1") -> None:
        config = {**KUBECONFIG, "clusters": [{"name": "c", "cluster": {"server": server}}]}
        (tmp_path / "config").write_text(yaml.safe_dump(config) if text is None else text)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    return write


@pytest.fixture
def answering() -> Iterator[Callable[[int], str]]:
    """A server that gives every request the same status."""
    servers = []

    def start(status: int) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"hi")

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("text", ["", "just words", "a: [", "contexts: 4\nclusters: []\nusers: []\n", "a: b"])
def test_a_file_that_is_no_kubeconfig_is_named(write: Write, text: str, tmp_path: Path) -> None:
    write(text)
    with pytest.raises(InputError, match=str(tmp_path / "config")):
        connect()


def test_no_kubeconfig_at_all_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InputError, match=r"there is no kubeconfig at .*none; write its path to KUBECONFIG"):
        connect()


def test_a_context_that_there_is_not_is_named_with_those_there_are(write: Write) -> None:
    write()
    with pytest.raises(InputError, match=r"has no context 'prod'; it has dev, staging"):
        connect("prod")


def test_a_server_that_is_not_there_is_named_with_the_context_that_led_to_it(write: Write) -> None:
    write()
    with pytest.raises(UnavailableError, match=r"http://127.0.0.1:1 of the context staging does not answer .*--context"):
        connect("staging")


def test_credentials_that_do_not_hold_are_told_as_that(write: Write, answering: Callable[[int], str]) -> None:
    write(server=answering(401))
    with pytest.raises(InputError, match=r"does not take the credentials of the context dev .*log in again"):
        connect()


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_server_that_is_no_kubernetes_is_not_taken_for_one(write: Write, answering: Callable[[int], str], status: int) -> None:
    write(server=answering(status))
    with pytest.raises(UnavailableError, match="of the context dev"):
        connect()
