from __future__ import annotations

import numpy as np
import pytest

from cia.evaluation.bootstrap import paired_interval


def test_the_interval_is_that_of_the_normal_distribution_on_many_differences() -> None:
    differences = np.random.default_rng(1).normal(0.1, 0.5, size=400)
    interval = paired_interval(list(differences))
    error = differences.std() / 20
    assert interval.mean == pytest.approx(differences.mean())
    assert interval.low == pytest.approx(differences.mean() - 1.96 * error, abs=0.004)
    assert interval.high == pytest.approx(differences.mean() + 1.96 * error, abs=0.004)


def test_it_covers_the_true_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    intervals = [paired_interval(list(random.choice([-1.0, 0.0, 1.0], 40)), resamples=1000) for _ in range(200)]
    covered = sum(interval.low <= 0 <= interval.high for interval in intervals) / 200
    assert 0.90 <= covered <= 0.99


def test_the_same_differences_give_the_same_interval() -> None:
    differences = list(np.random.default_rng(3).normal(size=24))
    assert paired_interval(differences) == paired_interval(differences)
    assert paired_interval(differences) != paired_interval(differences, seed=1)


def test_no_difference_is_an_interval_of_nothing() -> None:
    interval = paired_interval([0.0] * 30)
    assert (interval.mean, interval.low, interval.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("differences", [[], [0.1, float("nan")], [float("inf")]])
def test_what_cannot_be_compared_is_refused(differences: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        paired_interval(differences)
