"""Okapi BM25: which code is near a question, so that the wrong cards are not easily wrong, and what the model must beat."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cia.chunking import Chunk
from cia.retrieval.tokens import terms

K1, B = 1.2, 0.75
"""The usual constants (Robertson & Zaragoza 2009, section 3.5)."""


class Bm25:
    """An index of chunks by the terms of their path, their name (which counts twice) and their text."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        documents = [terms(f"{chunk.file_path} {chunk.symbol} {chunk.symbol} {chunk.text}") for chunk in chunks]
        self._number = len(documents)
        lengths = np.array([len(document) for document in documents], dtype=np.float32)
        norms = K1 * (1 - B + B * lengths / max(1.0, float(lengths.mean())))
        postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for at, document in enumerate(documents):
            for term, count in Counter(document).items():
                postings[term].append((at, count))
        self._weights: dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}
        for term, found in postings.items():
            places = np.array([at for at, _ in found])
            counts = np.array([count for _, count in found], dtype=np.float32)
            rareness = math.log(1 + (self._number - len(found) + 0.5) / (len(found) + 0.5))
            self._weights[term] = (places, rareness * counts * (K1 + 1) / (counts + norms[places]))

    def scores(self, question: str) -> NDArray[np.float32]:
        """Return a score for each chunk, in their order."""
        total = np.zeros(self._number, dtype=np.float32)
        for term in set(terms(question)):
            if term in self._weights:
                places, weights = self._weights[term]
                total[places] += weights
        return total
