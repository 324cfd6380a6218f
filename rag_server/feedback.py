"""What users thought of answers: kept here, and sent to Langfuse as a score of the answer's trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Column, DateTime, String, Table, Text, delete, insert, select

from rag_server.access import Principal
from rag_server.adapters.answer_counts import count_thumb
from rag_server.database import Database, metadata, utc_now

ratings = Table(
    "feedback",
    metadata,
    Column("trace_id", String(32), primary_key=True),
    Column("user", String(200), primary_key=True),
    Column("rating", String(4), nullable=False),
    Column("comment", Text, nullable=False),
    Column("correction", Text, nullable=False),
    Column("given", DateTime, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Rating:
    """A thumb, and in words what was good or bad (``comment``) and what should have been said (``correction``)."""

    rating: Literal["up", "down"]
    comment: str = ""
    correction: str = ""


class FeedbackStore:
    """One rating of each answer and user. A trace id is 128 random bits: who knows it has seen the answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(ratings)

    def give(self, principal: Principal, trace_id: str, rating: Rating) -> int | None:
        """Keep ``rating`` in place of an earlier one of this user's; return the version that answered, if known."""
        mine = (ratings.c.trace_id == trace_id) & (ratings.c.user == principal.user)
        with self._database.writing() as connection:
            former = connection.execute(select(ratings.c.rating).where(mine)).scalar()
            connection.execute(delete(ratings).where(mine))
            connection.execute(
                insert(ratings).values(
                    trace_id=trace_id,
                    user=principal.user,
                    rating=rating.rating,
                    comment=rating.comment,
                    correction=rating.correction,
                    given=utc_now(),
                )
            )
            return count_thumb(connection, trace_id, former, rating.rating)

    def of(self, principal: Principal, trace_ids: list[str]) -> dict[str, Rating]:
        """Return this user's ratings of the answers with ``trace_ids``."""
        query = select(ratings).where(ratings.c.user == principal.user, ratings.c.trace_id.in_(trace_ids))
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {row.trace_id: Rating(row.rating, row.comment, row.correction) for row in rows}
