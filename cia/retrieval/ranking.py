"""Orders candidates: one linear model over features that any code has, its weights blended by what the question wants.

The weights were fitted on questions of the tuning repositories only (``benchmarks/retrieval``), by the log-likelihood of
the right chunk (or, for changes and places, the right file) among the candidates. Those of names, tests, documentation,
examples and vendored code were set by hand: the questions that can be had in number never ask for them, and a fit would
banish them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from cia.retrieval.candidate import Candidate
from cia.retrieval.features import FEATURES, feature_matrix
from cia.retrieval.intent import Intent, intent_of
from cia.retrieval.question import Question

WEIGHTS: dict[str, tuple[float, float, float]] = {
    # definition, change, place
    "sparse": (0.09, 0.61, -0.39),
    "sparse_of_best": (2.30, 1.45, 1.44),
    "dense": (8.25, 2.57, -2.71),
    "dense_of_best": (2.91, 0.32, 2.71),
    "file_sparse": (0.36, -0.02, 0.18),
    "file_sparse_of_best": (1.05, 1.29, 1.09),
    "file_dense": (0.58, -0.04, 2.89),
    "file_size": (-0.19, 0.59, 0.17),
    "file_best_sparse": (0.47, 1.29, -0.17),
    "file_best_dense": (1.59, 0.77, 2.49),
    "file_sum_sparse": (-0.46, 0.09, 1.69),
    "scope_best_dense": (-1.12, -0.73, 1.80),
    "name_covered": (0.55, 0.80, 2.37),
    "name_covers": (0.97, -0.76, -2.16),
    "scope_covers": (2.01, 1.64, 1.98),
    "stem_covered": (0.41, 1.34, 1.06),
    "stem_covers": (-1.54, 3.45, 0.25),
    "folder_covers": (-7.33, 3.49, 3.29),
    "asked": (8.00, 8.00, 8.00),
    "named": (0.00, 1.20, 2.00),
    "exact_path": (4.00, 5.50, 6.00),
    "quoted": (3.00, 1.50, 2.00),
    "test": (-3.00, -1.00, -2.50),
    "test_asked": (3.00, 2.00, 3.00),
    "example": (-1.50, -1.50, -1.00),
    "documentation": (-2.50, -3.00, -2.50),
    "documentation_asked": (2.50, 3.00, 2.50),
    "vendored": (-1.50, -1.50, -1.50),
    "function": (1.94, 0.70, -0.38),
    "class": (2.27, 0.40, -1.46),
    "module": (-3.38, 1.16, 0.07),
    "section": (-2.16, -2.31, 1.54),
    "private": (-1.50, -0.05, 0.00),
    "dunder": (-1.50, 0.00, 0.00),
    "lines": (-0.03, 0.48, 0.90),
}
_MATRIX = np.array([WEIGHTS[feature] for feature in FEATURES])

SPREAD = 2.0
"""What each better chunk of the same file costs a chunk when places are asked for: enough that ten results show several files,
too little to hide a chunk that is clearly better than other files' best. A question for a definition pays nothing."""


def rank(question: Question, candidates: Sequence[Candidate], idf: Mapping[str, float]) -> list[Candidate]:
    """Return ``candidates`` best first, each with its score."""
    if not candidates:
        return []
    intent = intent_of(question)
    scores = feature_matrix(question, candidates, idf) @ (_MATRIX @ np.array(intent))
    for candidate, score in zip(candidates, scores.tolist(), strict=True):
        candidate.score = score
    return _spread(sorted(candidates, key=_order), intent)


def _spread(ordered: Sequence[Candidate], intent: Intent) -> list[Candidate]:
    before: Counter[tuple[str, str]] = Counter()
    for candidate in ordered:
        file = candidate.repo, candidate.file_path
        candidate.score -= SPREAD * (1.0 - intent.definition) * before[file]
        before[file] += 1
    return sorted(ordered, key=_order)


def _order(found: Candidate) -> tuple[float, str, str, int]:
    return -found.score, found.repo, found.file_path, int(found.payload["line_start"])
