"""Orders candidates by one linear model over features that any code has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.candidate import Candidate, path_traits
from cia.retrieval.question import Question
from cia.retrieval.tokens import words

FEATURES: dict[str, float] = {
    "sparse": 2.0,
    "sparse_share": 1.0,
    "dense": 6.0,
    "name_covered": 1.5,
    "name_covers": 2.0,
    "path_covered": 0.7,
    "path_covers": 0.7,
    "exact_symbol": 8.0,
    "exact_name": 5.0,
    "exact_path": 6.0,
    "quoted": 3.0,
    "test": -1.0,
    "example": -0.7,
    "documentation": -0.5,
    "vendored": -0.7,
    "definition": 0.3,
}


def features(question: Question, candidates: Sequence[Candidate], idf: Mapping[str, float]) -> NDArray[np.float64]:
    """Return one row a candidate, one column a feature in the order of ``FEATURES``."""
    total = sum(count * idf[term] for term, count in question.terms.items()) or 1.0
    top = max((candidate.sparse for candidate in candidates), default=0.0) or 1.0
    wanted_names = {name.lower() for name in question.names}
    wanted_last = {name.rpartition(".")[2] for name in wanted_names}
    rows = []
    for candidate in candidates:
        payload = candidate.payload
        traits = path_traits(candidate.file_path)
        name_words = words(candidate.payload["name"]) if not candidate.symbol else words(candidate.symbol.rpartition(".")[2])
        covered, covers = _overlap(name_words, question, idf, total)
        path_covered, path_covers = _overlap(traits.stem_words, question, idf, total)
        symbol = candidate.symbol.lower()
        rows.append(
            (
                candidate.sparse / total,
                candidate.sparse / top,
                candidate.dense,
                covered,
                covers,
                path_covered,
                path_covers,
                float(any(symbol == name or symbol.endswith("." + name) for name in wanted_names if "." in name)),
                float(payload["name"] in wanted_last),
                float(any(f"/{candidate.file_path}".endswith(f"/{path}") for path in question.paths)),
                float(any(part in payload["text"] for part in question.quoted)),
                float(traits.is_test and not question.about_tests),
                float(traits.is_example and not question.about_examples),
                float(traits.is_documentation and not question.about_documentation),
                float(traits.is_vendored),
                float(payload["kind"] in ("function", "class")),
            )
        )
    return np.asarray(rows, np.float64).reshape(len(candidates), len(FEATURES))


def rank(question: Question, candidates: Sequence[Candidate], idf: Mapping[str, float]) -> list[Candidate]:
    """Return ``candidates`` best first, each with its score."""
    scores = features(question, candidates, idf) @ np.asarray(list(FEATURES.values()))
    for candidate, score in zip(candidates, scores.tolist(), strict=True):
        candidate.score = score
    return sorted(candidates, key=lambda found: (-found.score, found.repo, found.file_path, found.payload["line_start"]))


def _overlap(part: Sequence[str], question: Question, idf: Mapping[str, float], total: float) -> tuple[float, float]:
    if not part:
        return 0.0, 0.0
    shared = [word for word in dict.fromkeys(part) if word in question.terms]
    return len(shared) / len(part), sum(idf[word] for word in shared) / total
