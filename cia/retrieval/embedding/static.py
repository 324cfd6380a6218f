"""The default embedder: one vector a word, learnt from pairs of a docstring and the code below it.

A text's vector is the weighted sum of its words' vectors, so a core embeds thousands of chunks a second and a start costs
milliseconds. ``benchmarks/train_static_embedding.py`` made the table, and says from what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import IO

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.document import Document
from cia.retrieval.tokens import term_ids, terms

TABLE = "static_embedding.npz"


class StaticEmbedder:
    """Looks the words up in the table that the package carries."""

    immediate = True

    def __init__(self) -> None:
        with files("cia.retrieval.embedding").joinpath(TABLE).open("rb") as file:
            self._load(file)

    def _load(self, file: IO[bytes]) -> None:
        with np.load(file) as table:
            self._ids: NDArray[np.uint32] = table["ids"]
            self._vectors = table["vectors"].astype(np.float32)
            self._vectors *= table["scales"].astype(np.float32)[:, None]
            self._question_weights: NDArray[np.float32] = table["question_weights"].astype(np.float32)
            self._field_weights: dict[str, float] = dict(
                zip(table["fields"].tolist(), table["field_weights"].tolist(), strict=True)
            )
            self.name = f"static-{table['version']}"
        self.dimensions = self._vectors.shape[1]

    def embed_chunks(self, documents: Sequence[Document], texts: Sequence[str]) -> NDArray[np.float32]:  # noqa: ARG002
        """Return one unit vector a chunk: its words, weighted by field and by the logarithm of their count."""
        ids: list[int] = []
        weights: list[float] = []
        starts: list[int] = []
        for document in documents:
            starts.append(len(ids))
            weighted = _weighted_terms(document, self._field_weights)
            ids += term_ids(weighted)
            weights += weighted.values()
        return self._sums(ids, np.asarray(weights, np.float32), starts)

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question."""
        counts = Counter(terms(text))
        ids = np.asarray(term_ids(counts), np.uint32)
        rows, known = self._rows(ids)
        weights = np.fromiter(counts.values(), np.float32, len(counts)) ** 0.5
        summed = (weights[known] * self._question_weights[rows[known]]) @ self._vectors[rows[known]]
        return np.asarray(_unit(summed[None, :])[0], np.float32)

    def _sums(self, ids: list[int], weights: NDArray[np.float32], starts: list[int]) -> NDArray[np.float32]:
        rows, known = self._rows(np.asarray(ids, np.uint32))
        scaled = np.where(known, weights, 0.0).astype(np.float32)
        sums = np.zeros((len(starts), self.dimensions), np.float32)
        bounds = [*starts, len(ids)]
        for number in range(len(starts)):
            part = slice(bounds[number], bounds[number + 1])
            if part.stop > part.start:
                sums[number] = scaled[part] @ self._vectors[rows[part]]
        return _unit(sums)

    def _rows(self, ids: NDArray[np.uint32]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        rows = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return rows, self._ids[rows] == ids


def _weighted_terms(document: Document, fields: dict[str, float]) -> dict[str, float]:
    body = fields["body"]
    weighted = {term: body * float(np.log1p(count)) if count > 1 else body * 0.6931 for term, count in document.body.items()}
    for field in ("name", "scope", "path", "signature", "docstring"):
        weight = fields[field]
        for term in getattr(document, field):
            weighted[term] = weighted.get(term, 0.0) + weight
    return weighted


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)
