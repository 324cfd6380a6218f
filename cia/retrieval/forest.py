"""Regression trees whose sum is a score: what gradient boosting leaves, read with NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


class Forest:
    """Trees of one depth or less. ``names`` are the columns that they were grown on."""

    def __init__(
        self,
        names: tuple[str, ...],
        feature: NDArray[np.int16],
        threshold: NDArray[np.float32],
        below: NDArray[np.int16],
        above: NDArray[np.int16],
        value: NDArray[np.float32],
        depth: int,
    ) -> None:
        """Each array has a row for each tree and a column for each node, the root first. A leaf leads to itself."""
        trees, nodes = feature.shape
        self._roots = np.arange(trees) * nodes  # nodes are numbered through all trees: one flat look-up is the fastest
        self.names = names
        self._feature, self._threshold, self._value = feature.ravel().astype(np.intp), threshold.ravel(), value.ravel()
        self._children = np.stack([above, below], axis=-1).astype(np.intp) + self._roots[:, None, None]
        self._children = self._children.ravel()
        self._depth = depth

    @classmethod
    def load(cls, file: IO[bytes]) -> Forest:
        """Read an ``.npz`` of the arrays, as ``benchmarks/file_ranking.py`` writes it."""
        with np.load(file) as arrays:
            return cls.of(arrays)

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Forest:
        """Return the forest of ``arrays``, named as the parameters of ``__init__``."""
        parts = {name: arrays[name] for name in ("feature", "threshold", "below", "above", "value")}
        return cls(tuple(arrays["names"].tolist()), **parts, depth=int(arrays["depth"]))

    def scores(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of the trees for each row of ``table``, whose columns are ``names``."""
        values = np.ascontiguousarray(table, np.float64).ravel()
        rows = np.arange(len(table))[:, None] * table.shape[1]
        node = np.broadcast_to(self._roots, (len(table), len(self._roots)))
        for _ in range(self._depth):
            is_below = values.take(rows + self._feature.take(node)) <= self._threshold.take(node)
            node = self._children.take(2 * node + is_below)
        return np.asarray(self._value.take(node).sum(axis=1), np.float64)
