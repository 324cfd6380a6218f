"""What comes after a promotion in a cluster: the RAG server answers with the new version, or the step says that it does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cia.errors import UnavailableError
from components.promotion import wait_until_answering
from rag_server.metrics import Metrics


class Server(ThreadingHTTPServer):
    """Gives the real server's metrics, as they are when it follows what ``versions`` lists, one more at each look."""

    versions: list[int]
    metrics: Metrics


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.server.versions:
            self.server.metrics.adapters({"production": self.server.versions.pop(0)}, has_problem=False)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.metrics.as_text())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.metrics, running.versions = Metrics(), []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_the_step_ends_when_the_server_answers_with_the_version(server: Server) -> None:
    server.versions = [6, 6, 7]
    wait_until_answering(address(server), "code-assistant:7", seconds=5, every=0.01)
    assert server.versions == []


def test_a_version_that_answered_before_is_not_the_one_that_answers(server: Server) -> None:
    server.versions = [7, 8]
    wait_until_answering(address(server), "code-assistant:8", seconds=5, every=0.01)
    with pytest.raises(UnavailableError, match=r"code-assistant:7 is promoted, but .* did not answer with it within 0 s"):
        wait_until_answering(address(server), "code-assistant:7", seconds=0.1, every=0.01)


def test_a_server_that_is_away_is_waited_for_and_named() -> None:
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9 did not answer"):
        wait_until_answering("http://127.0.0.1:9", "code-assistant:7", seconds=0.05, every=0.01)
