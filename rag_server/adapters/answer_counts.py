"""How the versions on trial and in Production did, counted by all workers and replicas together.

An answer's version is known by its trace, so that a thumb which comes later finds it.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import Column, Connection, DateTime, Integer, String, Table, Text, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cia.proportions import Share
from rag_server.adapters.served_adapters import Arm
from rag_server.database import Database, metadata, utc_now

Outcome = Literal["answered", "abstained", "failed"]

KEPT_DAYS = 30
"""After that a thumb on an answer counts for no version any more."""

TRIAL_CHARACTERS = 80

counts = Table(
    "adapter_counts",
    metadata,
    Column("trial", String(TRIAL_CHARACTERS), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *(Column(name, Integer, nullable=False, default=0) for name in ("answered", "abstained", "failed", "up", "down")),
)

answers = Table(
    "adapter_answers",
    metadata,
    Column("trace_id", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("trial", String(TRIAL_CHARACTERS), nullable=False),
    Column("given", DateTime, nullable=False, index=True),
)

looks = Table(
    "canary_looks",
    metadata,
    Column("trial", String(TRIAL_CHARACTERS), primary_key=True),
    Column("against", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("figures", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """The answers of one version by how they went, and the thumbs on them."""

    version: int
    answered: int = 0
    abstained: int = 0
    failed: int = 0
    up: int = 0
    down: int = 0

    @property
    def answers(self) -> int:
        """All together."""
        return self.answered + self.abstained + self.failed

    def shares(self) -> dict[str, Share]:
        """Return what a trial is judged by: errors of all answers, abstentions of those that held, thumbs down of all thumbs."""
        return {
            "errors": Share(self.failed, self.answers),
            "abstentions": Share(self.abstained, self.answered + self.abstained),
            "thumbs down": Share(self.down, self.up + self.down),
        }


@dataclass(frozen=True, slots=True)
class Look:
    """The figures as they were when they were looked at for the ``number``-th time (from 1)."""

    number: int
    canary: Counts
    production: Counts


class AnswerCounts:
    """The counters of one database. Raises OperationError as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(counts, answers, looks)

    def answered(self, trace_id: str, arm: Arm, outcome: Outcome) -> None:
        """Count an answer, and remember which version gave it."""
        row = {"trace_id": trace_id, "version": arm.version, "trial": arm.trial, "given": utc_now()}
        with self._database.writing() as connection:
            connection.execute(insert(answers).values(row))
            if arm.trial:
                _add(connection, arm.trial, arm.version, {outcome: 1})

    def of(self, trial: str, version: int) -> Counts:
        """Return what ``version`` did in a trial."""
        with self._database.reading() as connection:
            return _counts(connection, trial, version)

    def look(self, trial: str, canary: int, production: int, number: int) -> Look:
        """Return the figures of the ``number``-th look, which whoever comes first takes, for everybody and for good."""
        key = (looks.c.trial == trial) & (looks.c.against == production) & (looks.c.number == number)
        try:
            with self._database.writing() as connection:
                known = connection.execute(select(looks.c.figures).where(key)).scalar()
                if known is None:
                    figures = [_counts(connection, trial, canary), _counts(connection, trial, production)]
                    known = json.dumps([asdict(one) for one in figures])
                    connection.execute(insert(looks).values(trial=trial, against=production, number=number, figures=known))
        except IntegrityError:  # another replica was first by a hair
            with self._database.reading() as connection:
                known = connection.execute(select(looks.c.figures).where(key)).scalar_one()
        return Look(number, *(Counts(**one) for one in json.loads(known)))

    def forget_old(self) -> None:
        """Forget which version gave the answers of long ago."""
        with self._database.writing() as connection:
            connection.execute(delete(answers).where(answers.c.given < utc_now() - datetime.timedelta(days=KEPT_DAYS)))


def count_thumb(connection: Connection, trace_id: str, former: str | None, rating: str) -> int | None:
    """Count a thumb, in place of the user's ``former`` one, and return the version that it is for; None when that is unknown."""
    row = connection.execute(select(answers).where(answers.c.trace_id == trace_id)).first()
    if row is None:
        return None
    if row.trial and former != rating:
        _add(connection, row.trial, row.version, {rating: 1, **({former: -1} if former else {})})
    return int(row.version)


def _add(connection: Connection, trial: str, version: int, changes: dict[str, int]) -> None:
    key = (counts.c.trial == trial) & (counts.c.version == version)
    more = update(counts).where(key).values({name: counts.c[name] + change for name, change in changes.items()})
    if connection.execute(more).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(counts).values(trial=trial, version=version))
    except IntegrityError:
        pass  # another replica made the row
    connection.execute(more)


def _counts(connection: Connection, trial: str, version: int) -> Counts:
    row = connection.execute(select(counts).where(counts.c.trial == trial, counts.c.version == version)).first()
    return Counts(version, row.answered, row.abstained, row.failed, row.up, row.down) if row else Counts(version)
