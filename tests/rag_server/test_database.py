"""The database is private, whole after every change, and says in a sentence what keeps it from working."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String, Table, insert, select
from sqlalchemy.exc import IntegrityError

from cia.errors import BusyError, CiaError, OperationError, SettingsError, UnavailableError
from cia.settings import Settings
from rag_server import database as database_module
from rag_server.database import Database, metadata

lamps = Table("lamps_of_a_test", metadata, Column("id", Integer, primary_key=True), Column("name", String(20), index=True))


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings, {})
    database.create(lamps)
    yield database
    database.close()


def count(database: Database) -> int:
    with database.reading() as connection:
        return len(connection.execute(select(lamps)).all())


def test_nobody_else_on_the_machine_reads_it(database: Database, settings: Settings) -> None:
    with database.writing() as connection:
        connection.execute(insert(lamps).values(name="a"))
    files = list((settings.home / "rag_server").glob("server.db*"))
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_block_that_raises_changes_nothing(database: Database) -> None:
    def twice() -> None:
        with database.writing() as connection:
            connection.execute(insert(lamps).values(id=1))
            connection.execute(insert(lamps).values(id=1))

    with pytest.raises(IntegrityError):
        twice()
    assert count(database) == 0


def test_many_threads_write_and_read_at_once(database: Database) -> None:
    wrong: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(20):
                with database.writing() as connection:
                    connection.execute(select(lamps)).all()
                    connection.execute(insert(lamps).values(name="a"))
                count(database)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert count(database) == 320


def test_processes_that_start_at_once_make_the_tables_once(settings: Settings) -> None:
    script = (
        "from cia.settings import load_settings\n"
        "from rag_server.access.tokens import Tokens\n"
        "from rag_server.access.users import Users\n"
        "from rag_server.database import Database\n"
        f"settings = load_settings(environment={{'CIA_HOME': {str(settings.home)!r}}})\n"
        "database = Database(settings)\n"
        "Users(database), Tokens(database, settings.rag)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4


def test_a_writer_that_never_ends_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "LOCK_SECONDS", 0.2)
    first, second = Database(settings, {}), Database(settings, {})
    first.create(lamps)
    with first.writing(), pytest.raises(BusyError, match="busy"), second.writing():
        pass
    assert count(second) == 0, "reading waits for nobody"
    first.close()
    second.close()


def test_a_damaged_file_is_said(settings: Settings) -> None:
    path = settings.home / "rag_server" / "server.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(OperationError, match=r"server\.db is damaged"):
        Database(settings, {})


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError, match="choose another CIA_HOME"):
        Database(settings.model_copy(update={"home": tmp_path / "file" / "home"}), {})


def test_a_full_disk_is_said(database: Database) -> None:
    def fill() -> None:
        with database.writing() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to be out of room
            connection.execute(insert(lamps), [{"name": "x" * 2000}] * 200)

    with pytest.raises(OperationError, match="no space left"):
        fill()
    assert count(database) == 0


@pytest.mark.parametrize("url", ["nonsense", "nosuchdriver://user:hush@host/name", "postgresql+nosuch://user:hush@host/name"])
def test_a_url_that_cannot_be_used_is_named_without_its_password(settings: Settings, url: str) -> None:
    with pytest.raises(SettingsError, match="RAG_DATABASE_URL") as refusal:
        Database(settings, {"RAG_DATABASE_URL": url})
    assert "hush" not in str(refusal.value)


def test_a_database_elsewhere_that_is_away_is_said(settings: Settings) -> None:
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    away = Database(settings, {"RAG_DATABASE_URL": "postgresql+psycopg://user:hush@127.0.0.1:9/name"})
    with pytest.raises(UnavailableError) as refusal, away.reading():
        pass
    assert "hush" not in str(refusal.value)


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = {**os.environ, "CIA_HOME": str(tmp_path / "file")}
    for command in (["users", "add", "alice"], ["serve", "--port", "0"]):
        ended = subprocess.run(
            [sys.executable, "-m", "cli.main", *command], env=environment, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == CiaError.exit_code
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
        assert "CIA_HOME" in ended.stderr
        assert ended.stdout == ""


def test_a_second_opening_in_the_process_leaves_the_first_its_locks(database: Database, settings: Settings) -> None:
    """Else another process takes the file for unused, removes its write-ahead log, and the first never sees a change again."""
    with database.writing() as connection:
        connection.execute(insert(lamps).values(name="a"))
    Database(settings, {}).close()
    script = (
        "import sys; from sqlalchemy import text\n"
        "from cia.settings import load_settings; from rag_server.database import Database\n"
        "database = Database(load_settings(), {})\n"
        "with database.writing() as connection: connection.execute(text(sys.argv[1]))\n"
        "database.close()"
    )
    # What the first of them writes is still seen: it removes the log as it ends.
    for statement, rows in (("INSERT INTO lamps_of_a_test (name) VALUES ('b')", 2), ("DELETE FROM lamps_of_a_test", 0)):
        environment = {**os.environ, "CIA_HOME": str(settings.home)}
        subprocess.run([sys.executable, "-c", script, statement], check=True, env=environment)
        assert count(database) == rows
