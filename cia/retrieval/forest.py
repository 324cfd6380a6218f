"""Regression trees whose sum is a score: what gradient boosting leaves, read with NumPy alone."""

from __future__ import annotations

from typing import IO

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
        self.names = names
        self._feature, self._threshold, self._value = feature.astype(np.intp), threshold.astype(np.float64), value
        self._children = np.stack([above, below]).astype(np.intp)
        self._trees = np.arange(len(feature))
        self._depth = depth

    @classmethod
    def load(cls, file: IO[bytes]) -> Forest:
        """Read an ``.npz`` of the arrays, as ``benchmarks/file_ranking.py`` writes it."""
        with np.load(file) as arrays:
            parts = {name: arrays[name] for name in ("feature", "threshold", "below", "above", "value")}
            return cls(tuple(arrays["names"].tolist()), **parts, depth=int(arrays["depth"]))

    def scores(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of the trees for each row of ``table``, whose columns are ``names``."""
        rows = np.arange(len(table))[:, None]
        node = np.zeros((len(table), len(self._trees)), np.intp)
        for _ in range(self._depth):
            is_below = table[rows, self._feature[self._trees, node]] <= self._threshold[self._trees, node]
            node = self._children[is_below.astype(np.intp), self._trees, node]
        return np.asarray(self._value[self._trees, node].sum(axis=1), np.float64)
