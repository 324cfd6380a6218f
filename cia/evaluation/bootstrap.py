"""How sure one can be of a mean difference between two systems on the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

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
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(_counts(values.size, resamples, seed) @ values / values.size, [tail, 1.0 - tail])
    # An end that is 0 must not be above it by a bit of its last digit.
    return Interval(float(values.mean()), round(float(low), 12), round(float(high), 12))


@lru_cache(maxsize=4)
def _counts(size: int, resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """How often each of ``size`` values is drawn in each resample: the same for every metric of a comparison."""
    drawn = np.random.default_rng(seed).integers(0, size, size=(resamples, size))
    drawn += np.arange(resamples)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size).astype(np.float64)
