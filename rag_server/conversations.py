"""What a user asked and was told, kept until the user deletes it.

A turn is shown, and read for a follow-up, only while its user may read every repository that it was answered from: a grant
that is taken away takes the answers with it.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from cia.answering import Answer, Exchange
from cia.errors import NotIndexedError
from rag_server.access import Principal
from rag_server.database import Database, metadata, utc_now

TITLE_CHARACTERS = 80

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user", String(200), nullable=False),
    Column("title", String(TITLE_CHARACTERS), nullable=False),
    Column("created", DateTime, nullable=False),
    Column("updated", DateTime, nullable=False),
    Index("conversations_by_user", "user", "updated"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation", ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("asked", DateTime, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("repos", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, when it was asked (UTC), and its answer in the fixed JSON shape."""

    question: str
    asked: datetime.datetime
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of one user; ``turns`` is the number of its exchanges."""

    id: str
    title: str
    created: datetime.datetime
    updated: datetime.datetime
    turns: int


def new_id() -> str:
    """Return an id that no conversation has."""
    return uuid.uuid4().hex


def newest_within(history: Sequence[Exchange], characters: int) -> list[Exchange]:
    """Return the end of ``history`` whose questions and answers have at most ``characters`` together, oldest first."""
    chosen: list[Exchange] = []
    for exchange in reversed(history):
        characters -= len(exchange.question) + len(exchange.answer)
        if characters < 0:
            break
        chosen.append(exchange)
    return chosen[::-1]


class Conversations:
    """Each user's conversations. Every method takes the Principal, and sees nobody else's.

    Raises NotIndexedError (HTTP 404) for one that this user does not have, in the same words whether another has it or not.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(conversations, turns)

    def keep(
        self, principal: Principal, identifier: str, question: str, answer: Answer, repos: Iterable[str], begin: bool = False
    ) -> None:
        """Keep an exchange in a conversation; ``begin`` makes it, under the id of ``new_id()`` and named after the question.

        ``repos`` are those whose code the answer was made from.
        """
        now = utc_now()
        with self._database.writing() as connection:
            if begin:
                title = " ".join(question.split())[:TITLE_CHARACTERS]
                row = {"id": identifier, "user": principal.user, "title": title, "created": now, "updated": now}
                connection.execute(insert(conversations).values(row))
            else:
                _find(connection, principal, identifier)
                connection.execute(update(conversations).where(conversations.c.id == identifier).values(updated=now))
            if answer.resolved_question:
                repos = {*repos, *_repos_of_last(connection, identifier)}  # the question itself repeats what was read there
            turn: dict[str, Any] = {"conversation": identifier, "asked": now, "question": question}
            connection.execute(
                insert(turns).values(**turn, answer=json.dumps(answer.as_json()), repos=json.dumps(sorted(set(repos))))
            )

    def newest(self, principal: Principal, limit: int = 100) -> list[Conversation]:
        """Return the newest ``limit`` conversations, newest first."""
        count = select(func.count()).where(turns.c.conversation == conversations.c.id).scalar_subquery()
        query = (
            select(conversations, count.label("turns"))
            .where(conversations.c.user == principal.user)
            .order_by(conversations.c.updated.desc(), conversations.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Conversation(row.id, row.title, row.created, row.updated, row.turns) for row in connection.execute(query)]

    def read(self, principal: Principal, identifier: str) -> tuple[Conversation, list[Turn]]:
        """Return a conversation and those of its turns that may still be read, oldest first."""
        with self._database.reading() as connection:
            row = _find(connection, principal, identifier)
            kept = connection.execute(select(turns).where(turns.c.conversation == identifier).order_by(turns.c.id)).all()
        readable = [
            Turn(turn.question, turn.asked, json.loads(turn.answer))
            for turn in kept
            if all(principal.may_read(repo) for repo in json.loads(turn.repos))
        ]
        return Conversation(row.id, row.title, row.created, row.updated, len(readable)), readable

    def history(self, principal: Principal, identifier: str, characters: int) -> list[Exchange]:
        """Return the newest exchanges that may still be read, as many as ``newest_within`` leaves, oldest first."""
        _, kept = self.read(principal, identifier)
        said = [Exchange(turn.answer["resolved_question"] or turn.question, turn.answer["answer"]) for turn in kept]
        return newest_within(said, characters)

    def delete(self, principal: Principal, identifier: str) -> None:
        """Forget one conversation."""
        with self._database.writing() as connection:
            _find(connection, principal, identifier)
            connection.execute(delete(turns).where(turns.c.conversation == identifier))
            connection.execute(delete(conversations).where(conversations.c.id == identifier))

    def delete_all(self, principal: Principal) -> None:
        """Forget every conversation of this user."""
        mine = select(conversations.c.id).where(conversations.c.user == principal.user)
        with self._database.writing() as connection:
            connection.execute(delete(turns).where(turns.c.conversation.in_(mine)))
            connection.execute(delete(conversations).where(conversations.c.user == principal.user))


def _find(connection: Connection, principal: Principal, identifier: str) -> Any:
    query = select(conversations).where(conversations.c.id == identifier, conversations.c.user == principal.user)
    row = connection.execute(query).first()
    if row is None:
        raise NotIndexedError("you have no such conversation; GET /v1/conversations names those that you have")
    return row


def _repos_of_last(connection: Connection, identifier: str) -> list[str]:
    query = select(turns.c.repos).where(turns.c.conversation == identifier).order_by(turns.c.id.desc()).limit(1)
    last = connection.execute(query).scalar()
    return list(json.loads(last)) if last else []
