"""Scores of one question from the ranking that a system gave it. All lie between 0 and 1; none looks past rank 10."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.retrieval.question import Found, Kind, Place, Question, is_hit
from benchmarks.retrieval.source_files import is_test

DEPTH = 10
FILE_DEPTH = 100
"""Results asked for when files are ranked: enough chunks for ten different files."""

COMMITS: frozenset[Kind] = frozenset({"history", "commit"})
"""Kinds that ask for files."""

METRICS: dict[Kind, tuple[str, ...]] = {
    "docstring": ("MRR@10", "R@10"),
    "history": ("MRR@10", "R@10", "tests MRR@10", "tests R@10"),
    "commit": ("MRR@10", "R@10", "tests MRR@10", "tests R@10"),
    "annotated": ("NDCG@10",),
    "external": ("NDCG@10",),
}


def ranked(kind: Kind, results: Sequence[Found]) -> list[Found]:
    """Return what is scored: the first ten results, or for commits the first result of each of the first ten files."""
    if kind not in COMMITS:
        return list(results[:DEPTH])
    first: dict[str, Found] = {}
    for found in results:
        first.setdefault(found.path, found)
    return list(first.values())[:DEPTH]


def score(kind: Kind, question: Question, ranking: Sequence[Found]) -> dict[str, float]:
    """Return the metrics of ``kind`` for one question from what ``ranked`` left.

    MRR@10 is the inverse rank of the first right one. R@10 is 1 when there is a right one among the ten. NDCG@10 gives
    each place of the question the rank of the first result that shows it. Commits to tests have metrics of their own.
    """
    ranks = [rank for place in question.relevant if (rank := rank_of(place, ranking)) is not None]
    if METRICS[kind] == ("NDCG@10",):
        return {"NDCG@10": ndcg(ranks, len(question.relevant))}
    about = "tests " if kind in COMMITS and is_test(question.relevant[0].path) else ""
    return {f"{about}MRR@10": 1.0 / min(ranks) if ranks else 0.0, f"{about}R@10": 1.0 if ranks else 0.0}


def rank_of(place: Place, ranking: Sequence[Found]) -> int | None:
    """Return the 1-based rank of the first result that shows ``place``."""
    return next((rank for rank, found in enumerate(ranking, start=1) if is_hit(found, place)), None)


def ndcg(ranks: Sequence[int], places: int, depth: int = DEPTH) -> float:
    """Return the normalised discounted cumulative gain of binary relevance (Järvelin and Kekäläinen, 2002).

    ``ranks`` are those of the places that were found. A rank counts once, even if one result shows two places.
    """
    ideal = sum(1.0 / math.log2(rank + 1) for rank in range(1, min(places, depth) + 1))
    gained = sum(1.0 / math.log2(rank + 1) for rank in set(ranks) if rank <= depth)
    return gained / ideal if ideal else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
