"""What versions did is counted once, by everybody together, and a thumb finds the version that it is for."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from cia.settings import Settings
from rag_server.access import Principal
from rag_server.adapters import AnswerCounts, Arm, Counts
from rag_server.adapters.answer_counts import answers
from rag_server.database import Database, utc_now
from rag_server.feedback import FeedbackStore, Rating

TRIAL = "7 2026-11-21T10:00:00.000+00:00"
CANARY = Arm(7, "canary", TRIAL)
PRODUCTION = Arm(1, "production", TRIAL)
ADA, BEN = (Principal(name, frozenset({"*"})) for name in ("ada", "ben"))
IDS = [f"{number:032x}" for number in range(200)]


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings, {})
    yield database
    database.close()


@pytest.fixture
def counted(database: Database) -> AnswerCounts:
    return AnswerCounts(database)


def test_outcomes_are_counted_by_trial_and_version(counted: AnswerCounts) -> None:
    for number, outcome in enumerate(("answered", "answered", "abstained", "failed")):
        counted.answered(IDS[number], CANARY, outcome)
    counted.answered(IDS[10], PRODUCTION, "answered")
    counted.answered(IDS[11], Arm(7, "canary", "7 of another day"), "failed")
    assert counted.of(TRIAL, 7) == Counts(7, answered=2, abstained=1, failed=1)
    assert counted.of(TRIAL, 1) == Counts(1, answered=1)
    assert counted.of(TRIAL, 9) == Counts(9)


def test_several_servers_count_together(settings: Settings) -> None:
    """Each with a database connection of its own, as workers have; none finds the row, all make it."""
    databases = [Database(settings, {}) for _ in range(4)]
    stores = [AnswerCounts(database) for database in databases]

    def count(worker: int) -> None:
        for number in range(50):
            stores[worker].answered(IDS[worker * 50 + number], CANARY, "answered")

    threads = [threading.Thread(target=count, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].of(TRIAL, 7).answered == 200
    for database in databases:
        database.close()


def test_a_thumb_counts_for_the_version_that_answered_and_a_change_of_mind_moves_it(
    counted: AnswerCounts, database: Database
) -> None:
    feedback = FeedbackStore(database)
    counted.answered(IDS[0], CANARY, "answered")
    assert feedback.give(ADA, IDS[0], Rating("up")) == 7
    assert feedback.give(BEN, IDS[0], Rating("down")) == 7
    assert (counted.of(TRIAL, 7).up, counted.of(TRIAL, 7).down) == (1, 1)
    feedback.give(ADA, IDS[0], Rating("up", "still"))
    feedback.give(BEN, IDS[0], Rating("up"))
    assert (counted.of(TRIAL, 7).up, counted.of(TRIAL, 7).down) == (2, 0)
    assert feedback.give(ADA, IDS[5], Rating("down")) is None, "an answer that no version gave"
    assert feedback.of(ADA, [IDS[0], IDS[5]])[IDS[5]].rating == "down"


def test_an_answer_outside_a_trial_is_known_by_its_version_and_not_counted(counted: AnswerCounts, database: Database) -> None:
    counted.answered(IDS[0], Arm(1, "production", ""), "answered")
    assert FeedbackStore(database).give(ADA, IDS[0], Rating("down")) == 1
    assert counted.of("", 1) == Counts(1)


def test_the_figures_of_a_look_are_those_of_whoever_came_first(counted: AnswerCounts) -> None:
    counted.answered(IDS[0], CANARY, "failed")
    first = counted.look(TRIAL, 7, 1, number=1)
    counted.answered(IDS[1], CANARY, "answered")
    assert counted.look(TRIAL, 7, 1, number=1) == first
    assert counted.look(TRIAL, 7, 1, number=2).canary.answers == 2
    assert counted.look(TRIAL, 7, 3, number=1).canary.answers == 2, "against another version it is another comparison"


def test_answers_of_long_ago_are_forgotten_and_their_counts_are_not(counted: AnswerCounts, database: Database) -> None:
    for identifier in IDS[:2]:
        counted.answered(identifier, CANARY, "answered")
    with database.writing() as connection:
        long_ago = utc_now() - datetime.timedelta(days=40)
        connection.execute(update(answers).where(answers.c.trace_id == IDS[0]).values(given=long_ago))
    counted.forget_old()
    with database.reading() as connection:
        assert connection.execute(select(answers.c.trace_id)).scalars().all() == [IDS[1]]
    assert counted.of(TRIAL, 7).answered == 2
