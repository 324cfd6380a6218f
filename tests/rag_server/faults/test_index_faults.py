"""The index away or damaged while the server runs: a sentence and when to come back, and no restart when it is there again."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cia.settings import Settings
from tests.rag_server.running_server import Server
from tests.rag_server.security.ways_in import call_tool
from tests.rag_server.test_operations import wait_for

QUESTION = "How is a wick trimmed?"


@pytest.fixture
def copied(indexed: Settings, tmp_path: Path) -> Settings:
    """The same index in a home that this test may damage."""
    shutil.copytree(indexed.home, tmp_path / "home")
    return indexed.model_copy(update={"home": tmp_path / "home"})


@pytest.fixture
def dead_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


class EmptyQdrant(BaseHTTPRequestHandler):
    """A Qdrant that has nothing."""

    def do_GET(self) -> None:
        document = {"result": {"exists": False}, "status": "ok", "time": 0.0}
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def come_back(dead_port: int) -> Iterator[Callable[[], None]]:
    started: list[ThreadingHTTPServer] = []

    def start() -> None:
        started.append(ThreadingHTTPServer(("127.0.0.1", dead_port), EmptyQdrant))
        threading.Thread(target=started[0].serve_forever, args=(0.05,), daemon=True).start()

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_without_qdrant_every_way_in_says_when_to_come_back(
    start: Callable[..., Server], settings: Settings, dead_port: int, come_back: Callable[[], None]
) -> None:
    index = settings.index.model_copy(update={"qdrant_url": f"http://127.0.0.1:{dead_port}"})
    server = start(settings.model_copy(update={"index": index}))
    messages = [{"role": "user", "content": QUESTION}]

    def replies() -> list[Any]:
        return [
            server.ask(QUESTION),
            server.ask(QUESTION, stream=True),
            server.client.post("/v1/search", json={"query": QUESTION}),
            server.client.post("/v1/chat/completions", json={"model": "code-assistant", "messages": messages}),
            server.client.get("/v1/models"),
            server.client.get("/v1/repositories"),
            server.client.get("/v1/sources/lantern/README.md"),
            server.client.get("/readyz"),
        ]

    for reply in replies():
        assert reply.status_code == 503, reply.text
        assert int(reply.headers["retry-after"]) > 0
        assert "Qdrant does not answer" in reply.text
    assert "Qdrant does not answer" in call_tool(server, "search_code", query="wick")[1]
    assert server.client.get("/healthz").status_code == 200
    come_back()
    assert wait_for(lambda: "nothing is indexed yet" in server.client.get("/readyz").text)
    assert [reply.status_code for reply in replies()[:3]] == [404, 404, 404]


def test_an_index_that_is_taken_away_is_missed_in_words_and_found_again(start: Callable[..., Server], copied: Settings) -> None:
    server = start(copied)
    assert server.ask(QUESTION).json()["citations"]
    aside = copied.home / "aside"
    (copied.home / "index").rename(aside)
    reply = server.ask(QUESTION)
    assert reply.status_code in (404, 500, 503), reply.text
    assert reply.json()["error"]["type"] != "unexpected", reply.text
    assert server.ask(QUESTION, stream=True).status_code == reply.status_code
    shutil.rmtree(copied.home / "index", ignore_errors=True)
    aside.rename(copied.home / "index")
    assert wait_for(lambda: server.ask(QUESTION).status_code == 200)
    assert server.ask(QUESTION).json()["citations"]


def test_a_damaged_index_is_named_and_nothing_else_fails(start: Callable[..., Server], copied: Settings) -> None:
    for file in (copied.home / "index").rglob("*"):
        if file.is_file() and file.suffix != ".lock":
            file.write_bytes(b"\0damaged\0" * 10)
    server = start(copied)
    for reply in (server.ask(QUESTION), server.client.post("/v1/search", json={"query": "wick"}), server.client.get("/readyz")):
        assert reply.status_code in (404, 500, 503), reply.text
        assert "went wrong here" not in reply.text
    assert server.client.get("/healthz").status_code == 200
    assert server.client.get("/v1/me").status_code == 200


def test_a_corpus_that_is_gone_takes_the_citations_along_and_not_the_answer(
    start: Callable[..., Server], copied: Settings
) -> None:
    server = start(copied)
    shutil.rmtree(copied.home / "corpus")
    answer = server.ask(QUESTION)
    assert (answer.status_code, answer.json()["citations"]) == (200, [])
    reply = server.client.get("/v1/sources/lantern/src/wick.py")
    assert reply.status_code in (404, 500)
    assert "went wrong here" not in reply.text
