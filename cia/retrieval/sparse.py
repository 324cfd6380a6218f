"""BM25F as sparse vectors whose dot product is the score.

The vector of a chunk holds the saturated, length-normalised term weights; the vector of a question holds IDF times how often
it names the term. Lengths are compared with constants, not with this repository's averages: a chunk's vector then depends on
the chunk alone, is the same after any history of updates, and scores of several repositories can be compared.

S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3.6 (BM25F).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.document import Document
from cia.retrieval.tokens import term_ids

K1 = 1.2
BODY_B = 0.6
BODY_LENGTH = 90.0
"""Terms in a chunk of usual length; longer ones count each term for less."""

FILE_LENGTH = 900.0
"""Terms in a file of usual length."""
FILE_PATH_WEIGHT = 3.0

FIELD_WEIGHTS = {"name": 3.0, "scope": 1.0, "path": 1.0, "signature": 0.5, "docstring": 1.0}
"""Added to a term's frequency in the body, for each field that holds it."""


@dataclass(frozen=True, slots=True)
class SparseTerms:
    """A sparse vector: strictly increasing term ids and their weights."""

    ids: NDArray[np.uint32]
    weights: NDArray[np.float32]


def document_vector(document: Document) -> SparseTerms:
    """Return the weights of a chunk's terms, between 0 and ``K1 + 1``."""
    frequency = _normalised(document.body, BODY_LENGTH)
    for field, weight in FIELD_WEIGHTS.items():
        for term in set(getattr(document, field)):
            frequency[term] = frequency.get(term, 0.0) + weight
    return _saturated(frequency)


def file_vector(documents: Sequence[Document]) -> SparseTerms:
    """Return the weights of the terms of a whole file, from its chunks."""
    body: Counter[str] = Counter()
    for document in documents:
        body.update(document.body)
    frequency = _normalised(body, FILE_LENGTH)
    for term in set(documents[0].path) if documents else ():
        frequency[term] = frequency.get(term, 0.0) + FILE_PATH_WEIGHT
    return _saturated(frequency)


def _normalised(body: Counter[str], usual_length: float) -> dict[str, float]:
    norm = 1.0 - BODY_B + BODY_B * body.total() / usual_length
    return {term: count / norm for term, count in body.items()}


def _saturated(frequency: Mapping[str, float]) -> SparseTerms:
    merged: dict[int, float] = {}
    for identifier, value in zip(term_ids(frequency), frequency.values(), strict=True):
        merged[identifier] = merged.get(identifier, 0.0) + value
    ids = np.fromiter(merged, dtype=np.uint32, count=len(merged))
    tf = np.fromiter(merged.values(), dtype=np.float32, count=len(merged))
    order = np.argsort(ids)
    tf = tf[order]
    return SparseTerms(ids[order], tf * np.float32(K1 + 1.0) / (tf + np.float32(K1)))


class Lexicon:
    """In how many chunks each term of a repository occurs."""

    def __init__(self, ids: NDArray[np.uint32], counts: NDArray[np.int64], documents: int) -> None:
        self.ids = ids
        self.counts = counts
        self.documents = documents

    @classmethod
    def empty(cls) -> Lexicon:
        """The lexicon of no chunks."""
        return cls(np.empty(0, np.uint32), np.empty(0, np.int64), 0)

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """Read what ``save`` wrote. Raises OSError or ValueError when the file is missing or damaged."""
        with path.open("rb") as file:
            ids, counts, documents = np.load(file), np.load(file), np.load(file)
        if ids.shape != counts.shape:
            raise ValueError(f"{path} is damaged")
        return cls(ids, counts, int(documents))

    def save(self, path: Path) -> None:
        """Write the lexicon to ``path``: three arrays in NumPy's own format, one after another."""
        with path.open("wb") as file:
            for array in (self.ids, self.counts, np.int64(self.documents)):
                np.save(file, array)

    def changed(self, added: Iterable[NDArray[np.uint32]], removed: Iterable[NDArray[np.uint32]]) -> Lexicon:
        """Return this lexicon after chunks with the ``added`` term ids came and those with the ``removed`` ones went."""
        added, removed = list(added), list(removed)
        new = np.concatenate([np.empty(0, np.uint32), *added])
        old = np.concatenate([np.empty(0, np.uint32), *removed])
        ids = np.concatenate([self.ids, new, old])
        step = np.concatenate([self.counts, np.ones(len(new), np.int64), np.full(len(old), -1, np.int64)])
        unique, place = np.unique(ids, return_inverse=True)
        counts = np.bincount(place, weights=step, minlength=len(unique)).astype(np.int64)
        kept = counts > 0
        return Lexicon(unique[kept], counts[kept], self.documents + len(added) - len(removed))

    def frequencies(self, ids: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return in how many chunks each of ``ids`` occurs."""
        if not len(self.ids):
            return np.zeros(len(ids), np.int64)
        place = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[place] == ids, self.counts[place], 0)


class InverseFrequency:
    """IDF over one or several repositories that are searched together."""

    def __init__(self, lexicons: Iterable[Lexicon]) -> None:
        self._lexicons = tuple(lexicons)
        self._documents = sum(lexicon.documents for lexicon in self._lexicons)

    def of(self, terms: Iterable[str]) -> dict[str, float]:
        """Return each term's IDF, ``ln(1 + (N - n + 0.5) / (n + 0.5))``: positive, highest for a term that never occurs."""
        found = list(terms)
        ids = np.asarray(term_ids(found), dtype=np.uint32)
        total = np.zeros(len(ids), np.int64)
        for lexicon in self._lexicons:
            total += lexicon.frequencies(ids)
        values = np.log1p((self._documents - total + 0.5) / (total + 0.5))
        return dict(zip(found, values.tolist(), strict=True))


def query_vector(question: Counter[str] | Mapping[str, float], idf: Mapping[str, float]) -> SparseTerms:
    """Return the sparse vector of a question from its terms with their weights."""
    merged: dict[int, float] = {}
    for identifier, (term, weight) in zip(term_ids(question), question.items(), strict=True):
        merged[identifier] = merged.get(identifier, 0.0) + weight * idf[term]
    ids = np.fromiter(merged, dtype=np.uint32, count=len(merged))
    order = np.argsort(ids)
    return SparseTerms(ids[order], np.fromiter(merged.values(), dtype=np.float32, count=len(merged))[order])
