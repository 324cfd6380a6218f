"""The server's database locked, full, read-only or damaged: answers still come, and whoever signs in is told why not."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from cia.settings import Settings
from tests.rag_server.running_server import ADMIN_KEY, Server

QUESTION = "How is a wick trimmed?"
NOT_KEPT = "the conversation could not be kept"


@pytest.fixture
def server(start: Callable[..., Server], indexed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr("rag_server.database.LOCK_SECONDS", 0.3)
    shutil.copytree(indexed.home, tmp_path / "home")
    server = start(indexed.model_copy(update={"home": tmp_path / "home"}))
    assert server.ask(QUESTION).status_code == 200
    return server


def path_of(server: Server) -> Path:
    return Path(server.client.app.state.services.settings.home) / "rag_server" / "server.db"


def with_pragma(server: Server, pragma: str) -> None:
    """Have SQLite itself refuse on every connection from now on."""
    engine = server.client.app.state.services.database.engine
    engine.dispose()
    event.listen(engine, "connect", lambda connection, _: connection.execute(pragma))


def assert_answered_but_not_kept(server: Server) -> None:
    for stream in (False, True):
        answer = server.events(QUESTION, conversation="new")[-1][1] if stream else server.ask(QUESTION, conversation="new").json()
        assert answer["citations"]
        assert answer["conversation"] == ""
        assert NOT_KEPT in answer["notices"]
    assert any(line["event"] == "answer not kept" for line in server.log)


def test_while_another_process_holds_the_lock(server: Server) -> None:
    with contextlib.closing(sqlite3.connect(path_of(server), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        assert_answered_but_not_kept(server)
        assert time.monotonic() - begun < 5
        reply = server.client.post("/v1/feedback", json={"trace_id": "0" * 32, "rating": "up"})
        assert (reply.status_code, "busy" in reply.json()["error"]["message"]) == (503, True)
        other.execute("ROLLBACK")
    assert server.ask(QUESTION, conversation="new").json()["conversation"]


@pytest.mark.parametrize(
    ("pragma", "words"), [("PRAGMA query_only = ON", "cannot be written"), ("PRAGMA max_page_count = 1", "no space left")]
)
def test_while_nothing_can_be_written(server: Server, pragma: str, words: str) -> None:
    with_pragma(server, pragma)
    fill(server)
    reply = server.client.post("/v1/feedback", json={"trace_id": "0" * 32, "rating": "up", "correction": "x" * 4000})
    assert reply.status_code == 500
    assert words in reply.json()["error"]["message"]
    assert_answered_but_not_kept(server)


def fill(server: Server) -> None:
    """Use up the room that the file has already."""
    for number in range(40):
        body: dict[str, Any] = {"trace_id": f"{number:032x}", "rating": "up", "correction": "x" * 4000}
        rated = server.client.post("/v1/feedback", json=body).status_code == 204
        kept = server.ask(QUESTION, conversation="new").json()["conversation"]
        if not (rated or kept):
            break


def test_a_damaged_database_is_named_to_whoever_signs_in(server: Server) -> None:
    path = path_of(server)
    server.client.app.state.services.database.engine.dispose()
    for file in (path, path.with_name("server.db-wal"), path.with_name("server.db-shm")):
        if file.exists():
            file.write_bytes(b"this is no database " * 500)
    time.sleep(1.1)  # a credential is believed for a second
    for reply in (
        server.acting_as(None).client.post("/auth/token", json={"api_key": ADMIN_KEY}),
        server.acting_as(None).client.post("/auth/session", json={"api_key": ADMIN_KEY}),
        server.client.get("/v1/conversations"),
    ):
        assert reply.status_code in (500, 503), reply.text
        assert "damaged" in reply.json()["error"]["message"]
    assert server.client.get("/healthz", headers={"Authorization": ""}).status_code in (200, 401)
