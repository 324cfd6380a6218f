"""What ranking looks at in a file: the scores of its chunks together, its name, its place in the code around it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from math import log1p

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.candidate import Candidate, file_stem, path_traits
from cia.retrieval.features import FEATURES, term_weights
from cia.retrieval.question import Question
from cia.retrieval.tokens import words

Features = NDArray[np.float64]
File = tuple[str, str]
"""A repository and a path inside it."""

_BEST_OF_CHUNKS = (
    "sparse",
    "sparse_of_best",
    "dense",
    "dense_of_best",
    "name_covered",
    "name_covers",
    "scope_covers",
    "asked",
    "named",
    "quoted",
)
_SAME_IN_ALL_CHUNKS = (
    "file_sparse",
    "file_sparse_of_best",
    "file_dense",
    "file_size",
    "file_best_sparse",
    "file_best_dense",
    "file_sum_sparse",
    "stem_covered",
    "stem_covers",
    "folder_covers",
    "exact_path",
    "test",
    "test_asked",
    "example",
    "documentation",
    "vendored",
)
_OF_THE_FILE = (
    "second_sparse",
    "second_dense",
    "sum_dense",
    "names_cover",  # share of the question, by IDF, that the names of its chunks have together
    "chunks",  # how many it has, found or not
    "stem_frequency",  # how many chunks of the repository say its name: what is central is said often
    "name_frequency",  # the same for the name of its best chunk
    "depth",
    "initialises",
    "language_share",  # of the candidates that are in its language
    "sets_up",
    "best_lines",
    "best_defines",
    "caller",  # the best score of a candidate that calls one of its definitions
    "callee",  # the best score of a candidate that it calls
    "question_terms",
    "test_sparse",  # the best score of its own tests
    "test_dense",
    "stem_asked",
    "rank_sparse",  # 1 for the first file, 1/2 for the second
    "rank_dense",
    "rank_file_sparse",
    "rank_file_dense",
    "file_dense_of_best",
)
FILE_FEATURES = (*_BEST_OF_CHUNKS, *_SAME_IN_ALL_CHUNKS, *_OF_THE_FILE)
_BEST = [FEATURES.index(name) for name in _BEST_OF_CHUNKS]
_SAME = [FEATURES.index(name) for name in _SAME_IN_ALL_CHUNKS]
_DOCUMENTATION = FEATURES.index("documentation")
_SPARSE, _DENSE = FEATURES.index("sparse"), FEATURES.index("dense")
_RANKED = ("sparse", "dense", "file_sparse", "file_dense")
_INITIALISES = frozenset({"__init__", "index", "mod", "doc", "package-info"})
_SETS_UP = frozenset({"setup", "conftest", "noxfile", "tasks", "build"})
_SUMMED = 4
_PLAIN_WORD = re.compile(r"[a-z][a-z0-9]*")


def file_matrix(
    question: Question, candidates: Sequence[Candidate], features: Features, idf: Mapping[str, float]
) -> tuple[NDArray[np.intp], Features]:
    """Return the number of each candidate's file, and one row of ``FILE_FEATURES`` a file.

    ``features`` is the ``feature_matrix`` of the candidates.
    """
    files: dict[File, list[int]] = {}
    for number, candidate in enumerate(candidates):
        files.setdefault((candidate.repo, candidate.file_path), []).append(number)
    if question.about_documentation:
        features = features.copy()
        features[:, _DOCUMENTATION] = 0.0
    order = np.fromiter(chain.from_iterable(files.values()), np.intp, len(candidates))
    sizes = [len(members) for members in files.values()]
    starts = np.cumsum([0, *sizes[:-1]])
    neighbours = _Neighbours(question, candidates, files, idf)
    sparse, dense = features[:, _SPARSE].tolist(), features[:, _DENSE].tolist()
    rows = []
    for (_, path), members in files.items():
        dense_ones = sorted((dense[number] for number in members), reverse=True)
        sparse_ones = sorted((sparse[number] for number in members), reverse=True)
        best = max(members, key=lambda number: sparse[number] + dense[number])
        rows.append(
            (
                sparse_ones[1] if len(members) > 1 else 0.0,
                dense_ones[1] if len(members) > 1 else 0.0,
                sum(dense_ones[:_SUMMED]),
                *neighbours.of_file(path, members, best),
            )
        )
    bests = np.maximum.reduceat(features[order][:, _BEST], starts)
    table = np.column_stack([bests, features[order[starts]][:, _SAME], np.array(rows)])
    number_of = np.empty(len(candidates), np.intp)
    number_of[order] = np.repeat(np.arange(len(files)), sizes)
    return number_of, np.column_stack([table, _among_files(table)])


def _among_files(table: Features) -> Features:
    columns = []
    for name in _RANKED:
        rank = np.empty(len(table))
        rank[np.argsort(-table[:, FILE_FEATURES.index(name)], kind="stable")] = np.arange(1, len(table) + 1)
        columns.append(1.0 / rank)
    file_dense = table[:, FILE_FEATURES.index("file_dense")]
    return np.column_stack([*columns, file_dense / max(1e-6, float(file_dense.max()))])


class _Neighbours:
    """What the candidates say of each other: who calls whom, which tests belong to which file."""

    def __init__(
        self,
        question: Question,
        candidates: Sequence[Candidate],
        files: Mapping[File, Sequence[int]],
        idf: Mapping[str, float],
    ) -> None:
        self._candidates = candidates
        self._weights = term_weights(question, idf)
        self._total = sum(self._weights.values()) or 1.0
        self._said = frozenset(_PLAIN_WORD.findall(question.text.lower()))
        self._best = max(candidate.sparse for candidate in candidates) or 1.0
        self._languages: defaultdict[str, int] = defaultdict(int)
        self._defined: dict[str, float] = {}
        self._called: dict[str, float] = {}
        for candidate in candidates:
            payload, score = candidate.payload, candidate.sparse
            self._languages[payload["language"]] += 1
            if name := payload["name"]:
                self._defined[name] = max(self._defined.get(name, 0.0), score)
            for call in candidate.facts.called:
                self._called[call] = max(self._called.get(call, 0.0), score)
        self._tests: dict[tuple[str, ...], tuple[float, float]] = {}
        for (_, path), members in files.items():
            traits = path_traits(path)
            if traits.is_test:
                key = _without_test(traits.stem_words)
                sparse, dense = self._tests.get(key, (0.0, 0.0))
                best_sparse = max(candidates[number].sparse for number in members)
                best_dense = max(candidates[number].dense for number in members)
                self._tests[key] = max(sparse, best_sparse), max(dense, best_dense)

    def of_file(self, path: str, members: Sequence[int], best: int) -> list[float]:
        """Return the features of one file from "names_cover" to "stem_asked"; ``best`` is its best chunk."""
        found = [self._candidates[number] for number in members]
        chunk = self._candidates[best]
        payload, traits = chunk.payload, path_traits(path)
        stem = file_stem(path)
        names = {word for candidate in found for word in words(candidate.payload["name"])}
        tests = (0.0, 0.0) if traits.is_test else self._tests.get(_without_test(traits.stem_words), (0.0, 0.0))
        caller = max((self._called.get(candidate.payload["name"], 0.0) for candidate in found), default=0.0)
        callee = max((self._defined.get(call, 0.0) for candidate in found for call in candidate.facts.called), default=0.0)
        return [
            sum(weight for term, weight in self._weights.items() if term in names) / self._total,
            log1p(chunk.file_chunks),
            log1p(chunk.stem_count),
            log1p(chunk.name_count),
            float(path.count("/")),
            float(stem in _INITIALISES),
            self._languages[payload["language"]] / len(self._candidates),
            float(stem in _SETS_UP),
            chunk.facts.lines,
            float(chunk.facts.is_function or chunk.facts.is_class),
            caller / self._best,
            callee / self._best,
            float(min(len(self._weights), 20)),
            tests[0] / self._best,
            tests[1],
            float(stem.strip("_") in self._said),
        ]


def _without_test(stem: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in stem if word != "test")
