"""Intervals for a share of answers and for the difference between two shares, which hold for small counts too.

Wilson, Probable inference, the law of succession, and statistical inference (J. Am. Stat. Assoc. 22, 1927) for one share;
Newcombe, Interval estimation for the difference between independent proportions (Statistics in Medicine 17, 1998), method 10,
for the difference, which puts two of Wilson's together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` among ``count``."""

    hits: int
    count: int

    @property
    def rate(self) -> float:
        """Between 0 and 1; 0 while there is nothing to have a share of."""
        return self.hits / self.count if self.count else 0.0

    def limits(self, confidence: float) -> tuple[float, float]:
        """Return Wilson's limits, each of which holds with ``confidence`` by itself."""
        if not self.count:
            return 0.0, 1.0
        z = NormalDist().inv_cdf(confidence)
        spread = z * math.sqrt(self.rate * (1 - self.rate) / self.count + z * z / (4 * self.count**2))
        middle, scale = self.rate + z * z / (2 * self.count), 1 + z * z / self.count
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def difference_at_least(first: Share, second: Share, confidence: float) -> float:
    """Return the lower limit of ``first.rate - second.rate``: the difference is larger than that with ``confidence``."""
    lower, _ = first.limits(confidence)
    _, upper = second.limits(confidence)
    return first.rate - second.rate - math.hypot(first.rate - lower, upper - second.rate)
