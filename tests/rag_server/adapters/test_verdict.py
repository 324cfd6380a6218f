"""A version on trial is taken back when it is worse, seldom when it is not, and not before there is enough to tell."""

from __future__ import annotations

import numpy as np
import pytest

from cia.settings import CanarySettings
from rag_server.adapters import Counts, judge
from rag_server.adapters.answer_counts import Look
from rag_server.adapters.verdict import answers_at, looks_due

RULES = CanarySettings()


def look(canary: Counts, production: Counts, number: int = 1) -> Look:
    return Look(number, canary, production)


@pytest.mark.parametrize(
    ("worse", "what"),
    [
        (Counts(7, answered=40, failed=20), "errors 20 of 60 (33.3%) against 10 of 500 (2.0%)"),
        (Counts(7, answered=30, abstained=30), "abstentions 30 of 60 (50.0%) against 50 of 490 (10.2%)"),
        (Counts(7, answered=60, up=2, down=18), "thumbs down 18 of 20 (90.0%) against 10 of 50 (20.0%)"),
    ],
)
def test_a_clearly_worse_rate_is_found_and_said_with_its_figures(worse: Counts, what: str) -> None:
    verdict = judge(look(worse, Counts(1, answered=440, abstained=50, failed=10, up=40, down=10)), RULES)
    assert verdict.is_worse
    assert verdict.reason.startswith(what)
    assert sum(one.is_worse for one in verdict.comparisons) == 1


def test_what_is_better_the_same_or_worse_within_the_bound_stays() -> None:
    production = Counts(1, answered=9000, abstained=500, failed=500, up=800, down=200)
    for canary in (
        Counts(7, answered=1000, up=100),
        Counts(7, answered=900, abstained=50, failed=50, up=80, down=20),
        Counts(7, answered=8600, abstained=500, failed=900, up=800, down=240),  # errors 9% against 5%: within 5 points
    ):
        assert not judge(look(canary, production), RULES).is_worse
    assert judge(look(Counts(7, answered=8000, abstained=500, failed=1500), production), RULES).is_worse


def test_a_handful_of_thumbs_decides_nothing() -> None:
    production = Counts(1, answered=500, up=200)
    assert not judge(look(Counts(7, answered=60, down=9), production), RULES).is_worse
    assert judge(look(Counts(7, answered=60, down=10), production), RULES).is_worse


def test_looks_are_taken_at_a_quarter_more_answers_each_and_not_before_the_minimum() -> None:
    assert [looks_due(answers, 50) for answers in (0, 49, 50, 62, 63, 78, 79)] == [0, 0, 1, 1, 2, 2, 3]
    for number in range(1, 30):
        at = answers_at(number, 50)
        assert (looks_due(at - 1, 50), looks_due(at, 50)) == (number - 1, number)


def test_later_looks_are_stricter() -> None:
    figures = Counts(7, answered=95, failed=30), Counts(1, answered=900, failed=90)
    assert judge(look(*figures, number=1), RULES).is_worse
    assert not judge(look(*figures, number=20), RULES).is_worse


def taken_back(trials: int, excess: float, bound: float) -> float:
    """The share of trials that end by themselves within 2,000 answers of the canary, whose rates are higher by ``excess``."""
    rules = CanarySettings(bound=bound)
    random = np.random.default_rng(5)
    ended = 0
    for _ in range(trials):
        totals = np.zeros((2, 5), int)
        number = 1
        while (due := answers_at(number, rules.minimum_answers)) <= 2000:
            for arm, (share, more) in enumerate(((1, excess), (9, 0.0))):
                new = due * share - totals[arm, :3].sum()
                failed = random.binomial(new, 0.05 + more)
                abstained = random.binomial(new - failed, 0.2 + more)
                down = random.binomial(thumbs := random.binomial(new, 0.2), 0.3 + more)
                totals[arm] += (new - failed - abstained, abstained, failed, thumbs - down, down)
            canary, production = (Counts(version, *map(int, totals[arm])) for arm, version in enumerate((7, 1)))
            if judge(look(canary, production, number), rules).is_worse:
                ended += 1
                break
            number += 1
    return ended / trials


def test_looking_again_and_again_raises_no_more_false_alarms_than_the_confidence_allows() -> None:
    # At the edge of what is allowed, where false alarms are most frequent: 5% of 1,000, and three deviations.
    assert taken_back(1000, excess=0.0, bound=0.0) < 0.05 + 3 * 0.007
    assert taken_back(1000, excess=0.05, bound=0.05) < 0.05 + 3 * 0.007


def test_a_version_that_is_worse_by_twice_the_bound_and_more_does_not_last() -> None:
    assert taken_back(200, excess=0.15, bound=0.05) > 0.95
