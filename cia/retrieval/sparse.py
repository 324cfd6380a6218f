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
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.document import Document, Postings
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


def document_vectors(documents: Sequence[Document]) -> list[SparseTerms]:
    """Return for each chunk the weights of its terms, between 0 and ``K1 + 1``."""
    parts = [(Postings.of_fields([set(getattr(d, field)) for d in documents]), weight) for field, weight in FIELD_WEIGHTS.items()]
    return _saturated([document.body for document in documents], BODY_LENGTH, parts)


def file_vectors(files: Sequence[Sequence[Document]]) -> list[SparseTerms]:
    """Return the weights of the terms of whole files, each given as its chunks."""
    bodies: list[Counter[int]] = []
    for documents in files:
        bodies.append(Counter())
        for document in documents:
            bodies[-1].update(document.body)
    paths = Postings.of_fields([set(documents[0].path) if documents else () for documents in files])
    return _saturated(bodies, FILE_LENGTH, [(paths, FILE_PATH_WEIGHT)])


def _saturated(
    bodies: Sequence[Mapping[int, int]], usual_length: float, fields: Sequence[tuple[Postings, float]]
) -> list[SparseTerms]:
    body = Postings.of_bodies(bodies)
    lengths = np.bincount(body.owners, body.counts, len(bodies))
    norms = 1.0 - BODY_B + BODY_B * lengths / usual_length
    owners = np.concatenate([body.owners, *(field.owners for field, _ in fields)])
    ids = np.concatenate([body.ids, *(field.ids for field, _ in fields)])
    frequencies = np.concatenate(
        [body.counts / norms[body.owners], *(np.full(len(field.ids), weight) for field, weight in fields)]
    )
    if not len(ids):
        return [SparseTerms(np.empty(0, np.uint32), np.empty(0, np.float32)) for _ in bodies]
    keys = owners << 32 | ids
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    firsts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    tf = np.add.reduceat(frequencies[order], firsts).astype(np.float32)
    weights = tf * np.float32(K1 + 1.0) / (tf + np.float32(K1))
    merged, distinct = keys[firsts], (keys[firsts] & 0xFFFFFFFF).astype(np.uint32)
    ends = np.searchsorted(merged, np.arange(len(bodies) + 1) << 32).tolist()
    return [SparseTerms(distinct[start:end], weights[start:end]) for start, end in pairwise(ends)]


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
