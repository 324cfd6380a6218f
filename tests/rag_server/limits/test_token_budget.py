"""A user's tokens last for a day."""

from __future__ import annotations

import datetime

import pytest
from prometheus_client import CollectorRegistry

from cia.errors import LimitError
from rag_server.limits import TokenBudget
from rag_server.limits.redis_link import RedisLink

EVENING = datetime.datetime(2026, 11, 21, 23, 0, 0, tzinfo=datetime.UTC)


class Clock:
    now = EVENING

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> TokenBudget:
    return TokenBudget(RedisLink(None, None, CollectorRegistry()), 1000, clock)


def test_a_budget_that_is_spent_says_how_long_until_midnight(budget: TokenBudget) -> None:
    budget.spend("alice", 999)
    budget.check("alice")
    budget.spend("alice", 500)
    with pytest.raises(LimitError, match="midnight") as refusal:
        budget.check("alice")
    assert refusal.value.retry_after == 3600
    budget.check("bob")


def test_a_new_day_brings_new_tokens(budget: TokenBudget, clock: Clock) -> None:
    budget.spend("alice", 1000)
    clock.now = EVENING + datetime.timedelta(hours=1)
    budget.check("alice")


@pytest.mark.parametrize("tokens", [0, -5])
def test_nothing_is_given_back(budget: TokenBudget, tokens: int) -> None:
    budget.spend("alice", 1000)
    budget.spend("alice", tokens)
    with pytest.raises(LimitError):
        budget.check("alice")
