"""The users of a server, and the repositories granted to each."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Boolean, Column, Connection, DateTime, ForeignKey, String, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cia.errors import InputError
from rag_server.access.principal import Principal
from rag_server.database import Database, metadata, utc_now

EVERY_REPOSITORY = "*"
OIDC_PREFIX = "oidc:"
"""Begins the name of every user that an issuer vouches for. No local name holds a colon, so that neither can be the other."""

LOCAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
OIDC_NAME = re.compile(re.escape(OIDC_PREFIX) + r"[^\s\x00-\x1f\x7f]{1,190}")

users = Table(
    "users",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("is_admin", Boolean, nullable=False),
    Column("created", DateTime, nullable=False),
    Column("revoked", DateTime),
)

grants = Table(
    "grants",
    metadata,
    Column("user", ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("repo", String(200), primary_key=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user", ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("secret_hash", String(200), nullable=False),
    Column("created", DateTime, nullable=False),
)


@dataclass(frozen=True, slots=True)
class User:
    """A user as stored. ``repos`` holds the names granted, or ``*`` for every one; ``revoked`` is None while the user may ask."""

    name: str
    is_admin: bool
    repos: frozenset[str]
    created: datetime.datetime
    revoked: datetime.datetime | None

    def principal(self) -> Principal:
        """Return who a request of this user is from. An administrator reads every repository."""
        reads_all = self.is_admin or EVERY_REPOSITORY in self.repos
        return Principal(self.name, None if reads_all else self.repos, self.is_admin)


class Users:
    """The store of users. Every change is kept whole or not at all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(users, grants, api_keys)

    def add(self, name: str, repos: Iterable[str] = (), *, is_admin: bool = False, key: tuple[str, str] | None = None) -> User:
        """Add a user with ``key``, the id and the hash of an API key, and return it.

        A name that was revoked is free again: nothing of its former user comes back. Raises InputError for a name that is
        taken or cannot be one.
        """
        _check_name(name)
        with self._database.writing() as connection:
            if (known := _load(connection, name)) is not None and known.revoked is None:
                raise InputError(
                    f"there is a user {name!r} already; `cia users grant {name} --repo NAME` widens what it may read"
                )
            connection.execute(delete(users).where(users.c.name == name))
            try:
                connection.execute(insert(users).values(name=name, is_admin=is_admin, created=utc_now()))
            except IntegrityError:
                raise InputError(f"there is a user {name!r} already: another process has just added it") from None
            _insert_grants(connection, name, frozenset(repos))
            if key is not None:
                _insert_key(connection, name, key)
            return _existing(connection, name)

    def list(self) -> list[User]:
        """Return every user by name, also those revoked."""
        with self._database.reading() as connection:
            names = connection.execute(select(users.c.name).order_by(users.c.name)).scalars()
            return [_existing(connection, name) for name in names]

    def find(self, name: str) -> User | None:
        """Return the user called ``name``, also one that is revoked, or None."""
        with self._database.reading() as connection:
            return _load(connection, name)

    def revoke(self, name: str) -> None:
        """End ``name``: keys, tokens and sessions stop working, on every replica within a second."""
        with self._database.writing() as connection:
            _active(connection, name)
            connection.execute(update(users).where(users.c.name == name).values(revoked=utc_now()))
            connection.execute(delete(api_keys).where(api_keys.c.user == name))
            connection.execute(delete(grants).where(grants.c.user == name))

    def grant(self, name: str, repos: Iterable[str]) -> User:
        """Let ``name`` read ``repos`` too (``*``: every one); return the user as it now is."""
        with self._database.writing() as connection:
            user = _active(connection, name)
            _insert_grants(connection, name, frozenset(repos) - user.repos)
            return _existing(connection, name)

    def ungrant(self, name: str, repos: Iterable[str]) -> User:
        """Take ``repos`` away from ``name``; return the user as it now is. Raises InputError for one that was not granted."""
        with self._database.writing() as connection:
            user = _active(connection, name)
            for repo in repos:
                if repo not in user.repos:
                    raise InputError(_not_granted(user, repo))
                connection.execute(delete(grants).where(grants.c.user == name, grants.c.repo == repo))
            return _existing(connection, name)

    def replace_key(self, name: str, key: tuple[str, str]) -> None:
        """Give ``name`` another key; the old ones end, and with them the tokens and sessions that they were traded for."""
        with self._database.writing() as connection:
            _active(connection, name)
            connection.execute(delete(api_keys).where(api_keys.c.user == name))
            _insert_key(connection, name, key)

    def of_key(self, key_id: str) -> tuple[User, str] | None:
        """Return the user of the key with ``key_id`` and the key's hash; None when there is no such key."""
        with self._database.reading() as connection:
            row = connection.execute(select(api_keys.c.user, api_keys.c.secret_hash).where(api_keys.c.id == key_id)).first()
            return None if row is None else (_existing(connection, row.user), str(row.secret_hash))

    def has_administrator(self) -> bool:
        """Whether somebody administers this server."""
        with self._database.reading() as connection:
            administrators = select(users.c.name).where(users.c.is_admin, users.c.revoked.is_(None)).limit(1)
            return connection.execute(administrators).first() is not None


def _load(connection: Connection, name: str) -> User | None:
    row = connection.execute(select(users).where(users.c.name == name)).first()
    if row is None:
        return None
    repos = connection.execute(select(grants.c.repo).where(grants.c.user == name)).scalars()
    return User(row.name, row.is_admin, frozenset(repos), row.created, row.revoked)


def _existing(connection: Connection, name: str) -> User:
    user = _load(connection, name)
    assert user is not None, "a key or a grant never outlives its user"
    return user


def _active(connection: Connection, name: str) -> User:
    user = _load(connection, name)
    if user is None or user.revoked is not None:
        raise InputError(f"there is no user {name!r}; `cia users list` names them")
    return user


def _insert_grants(connection: Connection, name: str, repos: frozenset[str]) -> None:
    for repo in sorted(repos):
        if not repo or len(repo) > 200:
            raise InputError("a repository's name has 1 to 200 characters; `cia users grant NAME --repo '*'` grants every one")
        connection.execute(insert(grants).values(user=name, repo=repo))


def _insert_key(connection: Connection, name: str, key: tuple[str, str]) -> None:
    identifier, secret_hash = key
    connection.execute(insert(api_keys).values(id=identifier, user=name, secret_hash=secret_hash, created=utc_now()))


def _not_granted(user: User, repo: str) -> str:
    if EVERY_REPOSITORY in user.repos:
        return f"{user.name} may read every repository; grant those to keep, then `cia users ungrant {user.name} --repo '*'`"
    return f"{user.name} may not read {repo!r} anyway; `cia users list` shows the grants"


def _check_name(name: str) -> None:
    if not (LOCAL_NAME.fullmatch(name) or OIDC_NAME.fullmatch(name)):
        raise InputError(
            f"{name!r} cannot be a user's name: letters, digits and . _ @ - (at most 64, a letter or digit first), or oidc:NAME"
        )
