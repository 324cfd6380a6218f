"""Orders candidates. What the question wants blends three judgements: which definition it describes, which files a change
would touch, which place shows a topic.

Definitions are judged by a linear model over features of chunks, changes by trees over features of files
(``benchmarks/file_ranking.py`` grows them), places by both. All come from questions of the tuning repositories only
(``benchmarks/retrieval``). The weights were fitted, and the trees' scores scaled, by the log-likelihood of the right chunk or
file among the candidates, so that they add up as logits do. The weights of names, tests, documentation, examples and vendored
code were set by hand: the questions that can be had in number never ask for them, and a fit would banish them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

import numpy as np

from cia.retrieval.candidate import Candidate
from cia.retrieval.features import FEATURES, feature_matrix
from cia.retrieval.file_features import FILE_FEATURES, file_matrix
from cia.retrieval.forest import Forest
from cia.retrieval.intent import Intent, intent_of
from cia.retrieval.question import Question

WEIGHTS: dict[str, tuple[float, float, float]] = {
    # definition, change, place; the trees add their score to the last two
    "sparse": (-0.04, 0.00, -4.62),
    "sparse_of_best": (2.29, 0.00, 3.68),
    "dense": (7.16, 0.00, -0.45),
    "dense_of_best": (3.49, 0.00, 2.10),
    "file_sparse": (0.54, 0.00, 0.95),
    "file_sparse_of_best": (1.09, 0.00, 0.52),
    "file_dense": (0.76, 0.00, 3.41),
    "file_size": (-0.09, 0.00, 0.05),
    "file_best_sparse": (1.37, 0.00, 1.00),
    "file_best_dense": (1.13, 0.00, 3.07),
    "file_sum_sparse": (-1.65, 0.00, 1.53),
    "scope_best_dense": (-0.36, 0.00, 0.88),
    "name_covered": (0.14, 0.00, 2.45),
    "name_covers": (1.84, 0.00, -4.20),
    "scope_covers": (1.66, 0.00, 1.44),
    "stem_covered": (0.40, 0.00, 0.94),
    "stem_covers": (-0.95, 0.00, 2.53),
    "folder_covers": (-4.21, 0.00, 5.02),
    "asked": (8.00, 8.00, 8.00),
    "named": (0.00, 1.20, 2.00),
    "exact_path": (4.00, 5.50, 6.00),
    "quoted": (3.00, 1.50, 2.00),
    "test": (-3.00, 0.00, -2.50),
    "test_asked": (3.00, 0.00, 3.00),
    "example": (-1.50, 0.00, -1.00),
    "documentation": (-2.50, 0.00, -2.50),
    "documentation_asked": (2.50, 0.00, 2.50),
    "vendored": (-1.50, 0.00, -1.50),
    "function": (2.05, 0.00, 0.66),
    "class": (2.43, 0.00, -0.65),
    "module": (-3.71, 0.00, 0.21),
    "section": (-2.17, 0.00, -0.73),
    "private": (-1.50, 0.00, 0.00),
    "dunder": (-1.50, 0.00, 0.00),
    "lines": (-0.01, 0.00, 0.85),
}
_MATRIX = np.array([WEIGHTS[feature] for feature in FEATURES])
_WITHIN_A_FILE = np.array([max(WEIGHTS[feature]) if feature == "named" else WEIGHTS[feature][0] for feature in FEATURES])
"""A definition that is named stands for its file, also where a sentence that describes one would not name it."""

OF_A_CHANGE = 12.0
"""Trees compare the files of one question and say nothing about how good the best one is. With this added, the best of a change
scores as the best of a definition or a place usually does, and whoever reads scores needs to know nothing of intents."""

SPREAD = Intent(definition=0.0, change=2.0, place=4.0)
"""What each better chunk of the same file costs a chunk: enough that ten results show several files where places are wanted,
too little to hide a chunk that is clearly better than other files' best. A question for a definition pays nothing."""


def rank(question: Question, candidates: Sequence[Candidate], idf: Mapping[str, float]) -> list[Candidate]:
    """Return ``candidates`` best first, each with its score."""
    if not candidates:
        return []
    intent = intent_of(question)
    features = feature_matrix(question, candidates, idf)
    file_of, files = file_matrix(question, candidates, features, idf)
    of_files = _trees().scores(files)[file_of]
    weights = _MATRIX @ np.array(intent)
    scores = features @ weights + (intent.change + intent.place) * of_files + OF_A_CHANGE * intent.change
    for candidate, score in zip(candidates, scores.tolist(), strict=True):
        candidate.score = score
    _show_the_definition(candidates, (features @ _WITHIN_A_FILE).tolist())
    return _spread(sorted(candidates, key=_order), intent)


@cache
def _trees() -> Forest:
    with resources.files("cia.retrieval").joinpath("file_ranking.npz").open("rb") as file:
        forest = Forest.load(file)
    if forest.names != FILE_FEATURES:
        raise RuntimeError("file_ranking.npz was grown on other features; run `python -m benchmarks.file_ranking`")
    return forest


def _show_the_definition(candidates: Sequence[Candidate], suits: Sequence[float]) -> None:
    """Hand the scores that a file's chunks got to those same chunks, the best score to the one that suits the question best.

    Changes and places were fitted on whole files: they say which file is right, not which chunk of it.
    """
    files: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, candidate in enumerate(candidates):
        files[candidate.repo, candidate.file_path].append(number)
    for members in files.values():
        scores = sorted((candidates[number].score for number in members), reverse=True)
        for number, score in zip(sorted(members, key=lambda number: -suits[number]), scores, strict=True):
            candidates[number].score = score


def _spread(ordered: Sequence[Candidate], intent: Intent) -> list[Candidate]:
    cost = sum(price * share for price, share in zip(SPREAD, intent, strict=True))
    before: Counter[tuple[str, str]] = Counter()
    for candidate in ordered:
        file = candidate.repo, candidate.file_path
        candidate.score -= cost * before[file]
        before[file] += 1
    return sorted(ordered, key=_order)


def _order(found: Candidate) -> tuple[float, str, str, int]:
    return -found.score, found.repo, found.file_path, int(found.payload["line_start"])
