"""Where the server keeps what must outlive it: users, keys, conversations, feedback.

SQLite in ``CIA_HOME/rag_server/server.db`` for one machine, or any database that SQLAlchemy reaches by URL for several
replicas. Each store defines its tables on ``metadata``, in its own file, and has them made by ``Database.create``.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.schema import CreateIndex, CreateTable

from cia.durable_files import disk_errors, exclusive
from cia.errors import BusyError, OperationError, SettingsError, UnavailableError
from cia.settings import Settings

metadata = MetaData()

LOCK_SECONDS = 5.0
"""How long a writer waits for another one."""

SCHEMA_LOCK = 0x636961
"""Key of the advisory lock under which tables are made in PostgreSQL (its manual, "Explicit Locking")."""

SPOKEN_CAUSES: tuple[tuple[tuple[str, ...], type[OperationError], str], ...] = (
    (("disk is full", "disk I/O error"), OperationError, "no space left on the disk for {name}; free some and try again"),
    (("readonly", "unable to open"), OperationError, "{name} cannot be written; choose another CIA_HOME or change its rights"),
    (("locked",), BusyError, "{name} is busy; try again in a moment"),
    (("malformed", "not a database"), OperationError, "{name} is damaged; restore a copy, or move it away to begin a new one"),
)
"""What SQLite says, and what a person is told."""


def utc_now() -> datetime.datetime:
    """Return the time as the tables keep it: in UTC, and without saying so, as SQLite has no time zones."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


class Database:
    """The one database of a server. All methods may be called from any thread.

    Raises SettingsError for a URL that cannot be used, OperationError when the home cannot be written. An IntegrityError
    reaches the store that caused it; everything else that a driver raises becomes an OperationError in one sentence.
    """

    engine: Engine

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        variable = settings.rag.database_url_variable
        url = (os.environ if environment is None else environment).get(variable)
        path = settings.home / "rag_server" / "server.db"
        self._name = f"the database that {variable} names" if url else str(path)
        self.engine = _remote_engine(url, variable) if url else _file_engine(path)
        if not url:
            # SQLite takes up its write-ahead log only while nobody else has the file open, and then stays with it.
            with (
                self._spoken_errors(),
                exclusive(path.with_suffix(".lock"), "opening the server's database", wait_seconds=LOCK_SECONDS),
                contextlib.closing(self.engine.raw_connection()) as connection,
            ):
                connection.cursor().execute("PRAGMA journal_mode = WAL")

    def create(self, *tables: Table) -> None:
        """Make the tables that do not exist yet, also when several processes start at once."""
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})
            for table in tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in sorted(table.indexes, key=lambda one: str(one.name)):
                    connection.execute(CreateIndex(index, if_not_exists=True))

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees the database as it is at the block's first statement."""
        with self._spoken_errors(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection whose changes are all kept when the block ends, and none of them when it raises."""
        with self._spoken_errors(), self.engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextlib.contextmanager
    def _spoken_errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (DatabaseError, InterfaceError, PoolTimeoutError, sqlite3.Error) as error:
            raise _spoken(error, self._name) from error


def _spoken(error: Exception, name: str) -> OperationError:
    cause = str(getattr(error, "orig", None) or error)
    if isinstance(error, PoolTimeoutError):
        return BusyError(f"{name} is busy; try again in a moment")
    for words, kind, sentence in SPOKEN_CAUSES:
        if any(word in cause for word in words):
            return kind(sentence.format(name=name))
    if isinstance(error, OperationalError | InterfaceError):
        return UnavailableError(f"{name} does not answer; try again in a moment")
    return OperationError(f"{name} refused a statement ({type(error).__name__})")


def _remote_engine(url: str, variable: str) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=64, pool_recycle=1800)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        # The URL holds a password, so that no part of it is repeated.
        kind = type(error).__name__
        raise SettingsError(
            f"{variable} is no usable SQLAlchemy URL ({kind}), e.g. postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        ) from None


def _file_engine(path: Path) -> Engine:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives its side files the rights of the database, so that it is enough to make this one private. Only where
        # there is none yet: closing a file drops every lock that this process has on it (POSIX, fcntl), SQLite's too.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": LOCK_SECONDS}, pool_size=8, max_overflow=64)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin transactions when it sees fit; _on_begin does
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another one wrote in between: writers say so first.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")
