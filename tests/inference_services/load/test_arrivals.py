"""Requests arrive at random, as often as asked for, and the same way each time."""

from __future__ import annotations

import itertools
import statistics

import pytest

from cia.errors import InputError
from inference_services.load.arrivals import Stage, arrivals, parse_stages


def test_a_steady_rate_is_a_poisson_process() -> None:
    moments = list(arrivals([Stage(50, 50, 200)], seed=1))
    assert len(moments) == pytest.approx(10_000, rel=0.03)
    assert moments == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 200
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert statistics.mean(gaps) == pytest.approx(0.02, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.02, rel=0.05), "exponential gaps: as wide as they are long"


def test_stairs_have_their_rate_on_each_step() -> None:
    moments = list(arrivals(parse_stages("10,40,20", 100), seed=2))
    counts = [sum(begin <= moment < begin + 100 for moment in moments) for begin in (0, 100, 200)]
    assert counts == [pytest.approx(1000, rel=0.1), pytest.approx(4000, rel=0.1), pytest.approx(2000, rel=0.1)]


@pytest.mark.parametrize(("ramp", "halves"), [("0..80", (1000, 3000)), ("80..0", (3000, 1000)), ("20..60", (1500, 2500))])
def test_a_ramp_changes_evenly(ramp: str, halves: tuple[int, int]) -> None:
    moments = list(arrivals(parse_stages(ramp, 100), seed=3))
    first = sum(moment < 50 for moment in moments)
    assert (first, len(moments) - first) == (pytest.approx(halves[0], rel=0.08), pytest.approx(halves[1], rel=0.08))


def test_the_same_seed_gives_the_same_moments_and_another_gives_others() -> None:
    stages = parse_stages("5,1..9", 10)
    assert list(arrivals(stages, 7)) == list(arrivals(stages, 7))
    assert list(arrivals(stages, 7)) != list(arrivals(stages, 8))


@pytest.mark.parametrize("text", ["", "fast", "1;2", "-3", "1..", "..4", "1...4", "nan"])
def test_what_is_no_rate_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(InputError, match=r"stairs such as 1,2,4"):
        parse_stages(text, 10)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="a rate of nothing"):
        parse_stages("4,0", 10)
