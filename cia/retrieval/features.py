"""What ranking looks at in a candidate: numbers that mean the same in any repository and language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from functools import cache
from math import log1p

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.candidate import Candidate, module_of, path_traits
from cia.retrieval.question import Question
from cia.retrieval.tokens import words

FEATURES = (
    "sparse",  # BM25F as a share of the most that the question could score
    "sparse_of_best",  # BM25F as a share of the best candidate's
    "dense",
    "dense_of_best",
    "file_sparse",
    "file_sparse_of_best",
    "file_dense",
    "file_size",  # the logarithm of how many candidates its file has
    "file_best_sparse",  # the best chunk of its file, as a share of the best of all
    "file_best_dense",
    "file_sum_sparse",  # several good chunks lift a file
    "scope_best_dense",  # the best chunk of its class
    "name_covered",  # share of the name's words that the question has
    "name_covers",  # share of the question, by IDF, that the name has
    "scope_covers",
    "stem_covered",  # the same for the file's name
    "stem_covers",
    "folder_covers",
    "asked",  # the question is this very name, or qualifies it
    "named",  # the question names it among other words
    "exact_path",
    "quoted",
    "test",
    "test_asked",
    "example",
    "documentation",
    "documentation_asked",
    "vendored",
    "function",
    "class",
    "module",
    "section",
    "private",
    "dunder",
    "lines",
)


def feature_matrix(question: Question, candidates: Sequence[Candidate], idf: Mapping[str, float]) -> NDArray[np.float64]:
    """Return one row a candidate, one column for each of ``FEATURES``."""
    groups = [_score_features(question, candidates, idf), _file_features(candidates), _word_features(question, candidates, idf)]
    groups += [_exact_features(question, candidates), _trait_features(question, candidates)]
    return np.hstack(groups)


def term_weights(question: Question, idf: Mapping[str, float]) -> dict[str, float]:
    """Return what each term of ``question`` counts: how often it is said, times its IDF."""
    return {term: count * idf[term] for term, count in question.terms.items()}


def _score_features(question: Question, candidates: Sequence[Candidate], idf: Mapping[str, float]) -> NDArray[np.float64]:
    total = sum(term_weights(question, idf).values()) or 1.0
    scores = np.array([(c.sparse / total, c.dense, c.file_sparse / total, c.file_dense) for c in candidates])
    share = scores / np.maximum(scores.max(axis=0), 1e-9)
    return np.column_stack([scores[:, 0], share[:, 0], scores[:, 1], share[:, 1], scores[:, 2], share[:, 2], scores[:, 3]])


def _file_features(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    files = [(candidate.repo, candidate.file_path) for candidate in candidates]
    scopes = [(*file, candidate.symbol.partition(".")[0]) for file, candidate in zip(files, candidates, strict=True)]
    sparse: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    dense: dict[tuple[str, ...], float] = {}
    for file, scope, candidate in zip(files, scopes, candidates, strict=True):
        sparse[file].append(candidate.sparse)
        for key in (file, scope):
            dense[key] = max(dense.get(key, 0.0), candidate.dense)
    best = max((max(scores) for scores in sparse.values()), default=0.0) or 1.0
    summed = {file: sum(sorted(scores, reverse=True)[:4]) for file, scores in sparse.items()}
    best_sum = max(summed.values(), default=0.0) or 1.0
    best_dense = max(dense.values(), default=0.0) or 1.0
    return np.array(
        [
            (
                log1p(len(sparse[file])),
                max(sparse[file]) / best,
                dense[file] / best_dense,
                summed[file] / best_sum,
                dense[scope] / best_dense,
            )
            for file, scope in zip(files, scopes, strict=True)
        ]
    )


def _word_features(question: Question, candidates: Sequence[Candidate], idf: Mapping[str, float]) -> NDArray[np.float64]:
    weights = term_weights(question, idf)
    total = sum(weights.values()) or 1.0

    asked = frozenset(weights)

    def covers(part: Sequence[str]) -> float:
        return 0.0 if asked.isdisjoint(part) else sum(weight for term, weight in weights.items() if term in part) / total

    @cache
    def of_path(path: str) -> tuple[float, float, float]:
        traits = path_traits(path)
        return _share(traits.stem_words, weights), covers(traits.stem_words), covers(traits.folder_words)

    @cache
    def of_scope(scope: str) -> float:
        return covers(words(scope))

    rows = []
    for candidate in candidates:
        scope, name_words = candidate.symbol.rpartition(".")[0], candidate.facts.name_words
        of_name = (0.0, 0.0) if asked.isdisjoint(name_words) else (_share(name_words, weights), covers(name_words))
        rows.append((*of_name, of_scope(scope), *of_path(candidate.file_path)))
    return np.array(rows)


def _exact_features(question: Question, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    qualified = {name.lower() for name in question.names if "." in name}
    last = {name.rpartition(".")[2].lower() for name in question.names}
    rows = []
    if not (last or question.paths or question.quoted):
        return np.zeros((len(candidates), 4))
    for candidate in candidates:
        name, full = candidate.payload["name"], f".{module_of(candidate.file_path)}.{candidate.symbol}".lower()
        named = bool(name) and name in last and candidate.payload["kind"] in ("function", "class")
        rows.append(
            (
                (named and question.bare and not qualified) or any(full.endswith(f".{wanted}") for wanted in qualified),
                named,
                any(f"/{candidate.file_path}".endswith(f"/{path}") for path in question.paths),
                any(part in candidate.payload["text"] for part in question.quoted),
            )
        )
    return np.array(rows, float)


def _trait_features(question: Question, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    rows = []
    for candidate in candidates:
        facts, traits = candidate.facts, path_traits(candidate.file_path)
        documentation = traits.is_documentation or facts.is_section
        rows.append(
            (
                traits.is_test,
                traits.is_test and question.about_tests,
                traits.is_example and not question.about_examples,
                documentation,
                documentation and question.about_documentation,
                traits.is_vendored,
                facts.is_function,
                facts.is_class,
                facts.is_module,
                facts.is_section or facts.is_text,
                facts.is_private,
                facts.is_dunder,
                facts.lines,
            )
        )
    return np.array(rows, float)


def _share(part: Sequence[str], terms: Container[str]) -> float:
    return sum(word in terms for word in part) / len(part) if part else 0.0
