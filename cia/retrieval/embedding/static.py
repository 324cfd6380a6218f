"""The default embedder: one vector a word, learnt from what people say of code: docstrings, comments, commits.

A text's vector is the weighted sum of its words' vectors, so a core embeds thousands of chunks a second and a start costs
milliseconds. ``benchmarks/static_embedding`` made the table, and says from what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise
from typing import IO

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.document import FIELDS, Document, Postings
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
        weighted = [_body_weights(documents, self._field_weights["body"])]
        for field in FIELDS:
            postings = Postings.of_fields([getattr(document, field) for document in documents])
            weighted.append((postings, np.full(len(postings.ids), self._field_weights[field], np.float32)))
        ids = np.concatenate([postings.ids for postings, _ in weighted])
        owners = np.concatenate([postings.owners for postings, _ in weighted])
        weights = np.concatenate([weight for _, weight in weighted])
        rows, known = self._rows(ids.astype(np.uint32))
        order = np.flatnonzero(known)
        order = order[np.argsort(owners[order], kind="stable")]
        bounds = np.searchsorted(owners[order], np.arange(len(documents) + 1)).tolist()
        rows, weights = rows[order], weights[order]
        sums = np.zeros((len(documents), self.dimensions), np.float32)
        for number, (start, end) in enumerate(pairwise(bounds)):
            np.dot(weights[start:end], self._vectors[rows[start:end]], out=sums[number])
        return _unit(sums)

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question."""
        counts = Counter(terms(text))
        ids = np.asarray(term_ids(counts), np.uint32)
        rows, known = self._rows(ids)
        weights = np.fromiter(counts.values(), np.float32, len(counts)) ** 0.5
        summed = (weights[known] * self._question_weights[rows[known]]) @ self._vectors[rows[known]]
        return np.asarray(_unit(summed[None, :])[0], np.float32)

    def _rows(self, ids: NDArray[np.uint32]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        rows = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return rows, self._ids[rows] == ids


def _body_weights(documents: Sequence[Document], weight: float) -> tuple[Postings, NDArray[np.float32]]:
    postings = Postings.of_bodies([document.body for document in documents])
    return postings, np.asarray(weight * np.log1p(postings.counts), np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)
