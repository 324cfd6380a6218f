from math import log2

import pytest

from benchmarks.retrieval.measure import Measurement
from benchmarks.retrieval.metrics import ndcg, percentile, ranked, score
from benchmarks.retrieval.question import SCREEN_LINES, Found, Place, Question, is_hit
from benchmarks.retrieval.table import differences, render

FUNCTION = Place("client.py", 100, 119)


@pytest.mark.parametrize(
    ("found", "hit"),
    [
        (Found("client.py", 100, 119), True),
        (Found("other.py", 100, 119), False),
        (Found("client.py", 105, 110), True),
        (Found("client.py", 90, 109), True),
        (Found("client.py", 90, 108), False),
        (Found("client.py", 80, 99), False),
        (Found("client.py", 80, 80 + SCREEN_LINES - 1), True),
        (Found("client.py", 80, 80 + SCREEN_LINES), False),
        (Found("client.py", 1, 2000), False),
    ],
    ids=["exact", "other file", "inside", "half of it", "less than half", "just before", "one screen", "too long", "whole file"],
)
def test_a_hit_shows_most_of_a_place_or_lies_mostly_inside_it(found: Found, hit: bool) -> None:
    assert is_hit(found, FUNCTION) is hit


def test_a_part_of_a_long_class_is_a_hit_and_so_is_the_class_with_a_few_lines_around_it() -> None:
    long_class = Place("client.py", 100, 499)
    assert is_hit(Found("client.py", 200, 239), long_class)
    assert is_hit(Found("client.py", 60, 520), long_class)


def test_any_result_in_a_file_hits_a_place_without_lines() -> None:
    assert is_hit(Found("client.py", 1, 2000), Place("client.py"))


def test_the_second_result_scores_half_and_the_eleventh_nothing() -> None:
    question = Question("q", "where?", (FUNCTION,))
    other = Found("client.py", 1, 20)
    right = Found("client.py", 100, 119)
    assert score("docstring", question, [other, right]) == {"MRR@10": 0.5, "R@10": 1.0}
    late = ranked("docstring", [other] * 10 + [right])
    assert score("docstring", question, late) == {"MRR@10": 0.0, "R@10": 0.0}


def test_commits_are_ranked_by_the_first_result_of_each_file() -> None:
    results = [Found("a.py", 1, 9), Found("a.py", 10, 19), Found("b.py", 1, 9), Found("a.py", 20, 29), Found("c.py", 1, 9)]
    ranking = ranked("commit", results)
    assert ranking == [results[0], results[2], results[4]]
    question = Question("q", "change b and c", (Place("c.py"), Place("b.py")))
    assert score("commit", question, ranking)["MRR@10"] == 0.5


def test_commits_to_tests_are_averaged_apart() -> None:
    ranking = [Found("pool.go", 1, 9), Found("pool_test.go", 1, 9)]
    library = score("commit", Question("q", "change it", (Place("pool.go"),)), ranking)
    tests = score("commit", Question("r", "test it", (Place("pool_test.go"),)), ranking)
    measurement = Measurement("ours", "commit", 1.0, 1, [0.1], {"repo/q": library, "repo/r": tests})
    assert measurement.mean("R@10") == 1.0
    assert measurement.mean("tests MRR@10") == 0.5


def test_ndcg_agrees_with_a_calculation_by_hand() -> None:
    assert ndcg([1, 2], 2) == 1.0
    assert ndcg([2], 1) == pytest.approx(1 / log2(3))
    assert ndcg([1, 4], 2) == pytest.approx((1 + 1 / log2(5)) / (1 + 1 / log2(3)))
    assert ndcg([1, 1], 2) == pytest.approx(1 / (1 + 1 / log2(3)))
    assert ndcg([], 3) == 0.0


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert percentile([float(value) for value in range(1, 101)], 0.95) == 95.0
    assert percentile([7.0], 0.95) == 7.0


def measured(system: str, reciprocal_ranks: list[float]) -> Measurement:
    scores = {f"repo/{n}": {"MRR@10": value, "R@10": float(value > 0)} for n, value in enumerate(reciprocal_ranks)}
    return Measurement(system, "docstring", 1.0, 10_000_000, [0.001] * len(reciprocal_ranks), scores)


def test_the_interval_finds_a_planted_difference() -> None:
    ours = measured("ours", [1.0, 0.5, 1.0, 0.5] * 50)
    theirs = measured("theirs", [0.5, 0.5, 1.0, 0.25] * 50)
    interval = differences(ours, theirs)["MRR@10"]
    assert interval.mean == pytest.approx(0.1875)
    assert 0 < interval.low < interval.mean < interval.high


def test_the_interval_of_no_difference_holds_zero() -> None:
    ours = measured("ours", [1.0, 0.5, 0.0, 0.5] * 50)
    theirs = measured("theirs", [0.5, 1.0, 0.5, 0.0] * 50)
    interval = differences(ours, theirs)["MRR@10"]
    assert interval.low < 0 < interval.high


def test_the_table_says_who_is_compared_and_by_how_much() -> None:
    printed = render([measured("ours", [1.0] * 8), measured("theirs", [0.5] * 8)])
    assert "ours     1.000  1.000" in printed
    assert "ours minus" in printed
    assert "theirs      +0.500 [+0.500, +0.500]" in printed
