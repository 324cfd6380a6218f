"""How sure one can be of a mean difference between two systems on the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
SEED = 20_261_120


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference and the ends of its confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_interval(
    differences: Sequence[float], confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Return the percentile bootstrap interval of the mean of paired ``differences`` (candidate minus baseline, per question).

    Questions are resampled with replacement (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13). The same
    input gives the same interval. Raises ValueError when there are no differences or one is not finite.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError("a paired interval needs at least one difference, all of them finite")
    picks = np.random.default_rng(seed).integers(0, values.size, size=(resamples, values.size))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values[picks].mean(axis=1), [tail, 1.0 - tail])
    return Interval(float(values.mean()), float(low), float(high))
