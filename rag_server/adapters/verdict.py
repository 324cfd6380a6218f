"""Whether a version on trial is worse than the one in Production, beyond what chance explains.

Three rates are compared, again and again while answers come in. Who looks often enough sees chance make anything look worse;
so the allowance for a false alarm, ``1 - confidence``, is spread over all of it. A look is taken when both versions have a
quarter more answers than at the one before. The k-th look may use up 1 / (k (k + 1)) of the allowance, which add up to 1, and
each rate a third of that (Bonferroni): together no more than the allowance, however long the trial runs. Lan and DeMets
(Biometrika 70, 1983) call it alpha spending.

The interval is Newcombe's (``cia.proportions``). It takes answers as independent of each other, which those of one
user are not quite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cia.proportions import Share, difference_at_least
from cia.settings import CanarySettings
from rag_server.adapters.answer_counts import Look

BETWEEN_LOOKS = 1.25
MINIMUM_THUMBS = 10
"""Of each version: of fewer, the interval does not hold what it promises."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One rate of both versions; the canary's is higher by ``at_least`` or more, as sure as this look may be."""

    rate: str
    canary: Share
    production: Share
    at_least: float
    is_worse: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look found. ``confidence`` is that of each of its comparisons."""

    look: Look
    confidence: float
    comparisons: tuple[Comparison, ...]

    @property
    def is_worse(self) -> bool:
        """Whether the canary is to be taken back."""
        return any(one.is_worse for one in self.comparisons)

    @property
    def reason(self) -> str:
        """Why, with the figures; "" when it is not worse."""
        return "; ".join(_figures(one, self.confidence) for one in self.comparisons if one.is_worse)


def looks_due(answers: int, minimum: int) -> int:
    """Return how many looks there are up to ``answers`` of the version that has fewer: the first at ``minimum``."""
    return 0 if answers < minimum else 1 + int(math.log(answers / minimum, BETWEEN_LOOKS) + 1e-9)


def answers_at(look: int, minimum: int) -> int:
    """Return how many answers of each version the ``look``-th look waits for."""
    return math.ceil(minimum * BETWEEN_LOOKS ** (look - 1) - 1e-9)


def judge(look: Look, settings: CanarySettings) -> Verdict:
    """Return what the figures of a look say."""
    allowance = (1 - settings.confidence) / (look.number * (look.number + 1))
    canary, production = look.canary.shares(), look.production.shares()
    confidence = 1 - allowance / len(canary)
    found = (_compare(rate, canary[rate], production[rate], confidence, settings.bound) for rate in canary)
    return Verdict(look, confidence, tuple(found))


def _compare(rate: str, canary: Share, production: Share, confidence: float, bound: float) -> Comparison:
    at_least = difference_at_least(canary, production, confidence)
    enough = MINIMUM_THUMBS if rate == "thumbs down" else 1
    return Comparison(rate, canary, production, at_least, min(canary.count, production.count) >= enough and at_least > bound)


def _figures(one: Comparison, confidence: float) -> str:
    return (
        f"{one.rate} {one.canary.hits} of {one.canary.count} ({one.canary.rate:.1%}) against {one.production.hits} of "
        f"{one.production.count} ({one.production.rate:.1%}) in Production: more by at least {one.at_least:.1%} "
        f"with confidence {confidence:.4f}"
    )
