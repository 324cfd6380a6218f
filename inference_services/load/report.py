"""Figures of a run: of each interval while it goes on, and of all of it at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from inference_services.load.arrivals import Stage
from inference_services.load.client import Outcome

PERCENTILES = (50, 90, 95, 99)
LATE_SECONDS = 0.05
"""A generator that sends a hundredth of its requests later than this is itself too slow for the rate."""

COLUMNS = (
    "seconds",
    "due/s",
    "done/s",
    "errors",
    "open",
    "first token p50",
    "    p95",
    "latency p50",
    "    p95",
    "tokens/s",
    "replicas",
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A span that ended ``seconds`` into the run. Times are in seconds and of what ended in it, None when nothing did.

    ``open`` is how many requests were on their way at its end, ``replicas`` how many were ready then; None when not known.
    """

    seconds: float
    due_per_second: float
    done_per_second: float
    errors: int
    open: int
    first_token: tuple[float, float] | None
    latency: tuple[float, float] | None
    tokens_per_second: float
    replicas: int | None

    @classmethod
    def of(
        cls, outcomes: Sequence[Outcome], seconds: float, length: float, due: int, open_now: int, replicas: int | None
    ) -> Interval:
        """Return the figures of what ended in the last ``length`` seconds, when ``due`` requests were due."""
        whole = [one for one in outcomes if not one.error]
        return cls(
            seconds=round(seconds, 1),
            due_per_second=due / length,
            done_per_second=len(whole) / length,
            errors=len(outcomes) - len(whole),
            open=open_now,
            first_token=_median_and_tail([one.to_first_token for one in whole]),
            latency=_median_and_tail([one.latency for one in whole]),
            tokens_per_second=sum(one.tokens for one in whole) / length,
            replicas=replicas,
        )

    def __str__(self) -> str:
        times = [time for pair in (self.first_token, self.latency) for time in pair or (None, None)]
        cells = [
            f"{self.seconds:g}",
            f"{self.due_per_second:.1f}",
            f"{self.done_per_second:.1f}",
            str(self.errors),
            str(self.open),
            *("-" if time is None else f"{time:.3f}" for time in times),
            f"{self.tokens_per_second:.0f}",
            "-" if self.replicas is None else str(self.replicas),
        ]
        return "  ".join(cell.rjust(len(column)) for cell, column in zip(cells, COLUMNS, strict=True))


@dataclass(frozen=True, slots=True)
class LoadReport:
    """All of a run. ``seconds`` is from the first moment to the last answer."""

    url: str
    stages: Sequence[Stage]
    seconds: float
    outcomes: Sequence[Outcome]
    intervals: Sequence[Interval]

    @property
    def errors(self) -> dict[str, int]:
        """How often each kind of error came, the most frequent first."""
        return dict(Counter(one.error for one in self.outcomes if one.error).most_common())

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values; every time is in seconds, counted from when a request was due."""
        whole = [one for one in self.outcomes if not one.error]
        replicas = [one.replicas for one in self.intervals if one.replicas is not None]
        return {
            "url": self.url,
            "stages": [asdict(stage) for stage in self.stages],
            "seconds": round(self.seconds, 3),
            "requests": len(self.outcomes),
            "answers": len(whole),
            "errors": self.errors,
            "answered_by": dict(Counter(one.model for one in whole).most_common()),
            "answers_per_second": len(whole) / self.seconds,
            "tokens_per_second": sum(one.tokens for one in whole) / self.seconds,
            "first_token": percentiles(one.to_first_token for one in whole),
            "between_tokens": percentiles(gap for one in whole for gap in one.between_tokens),
            "latency": percentiles(one.latency for one in whole),
            "generator_late": percentiles(one.sent - one.due for one in self.outcomes),
            "replicas": {"least": min(replicas), "most": max(replicas)} if replicas else None,
            "intervals": [asdict(interval) for interval in self.intervals],
        }

    def __str__(self) -> str:
        figures = self.as_json()
        lines = [
            f"{figures['answers']} of {figures['requests']} requests answered in {self.seconds:.0f} s: "
            f"{figures['answers_per_second']:.2f} answers/s, {figures['tokens_per_second']:.1f} tokens/s",
            f"{'':16}{'p50':>9}{'p90':>9}{'p95':>9}{'p99':>9}{'longest':>9}   seconds",
        ]
        for title, name in (("first token", "first_token"), ("between tokens", "between_tokens"), ("latency", "latency")):
            if (figure := figures[name]) is not None:
                lines.append(f"{title:16}" + "".join(f"{figure[key]:9.3f}" for key in ("p50", "p90", "p95", "p99", "longest")))
        lines += [f"{count} x {kind}" for kind, count in self.errors.items()]
        late = figures["generator_late"]
        if late is not None and late["p99"] > LATE_SECONDS:
            lines.append(f"this generator was late by {late['p99']:.2f} s (p99): it, not the server, may be what was measured")
        return "\n".join(lines)


def percentiles(values: Iterable[float]) -> dict[str, float] | None:
    """Return mean, longest and percentiles (nearest rank: each is one of the values); None for no values."""
    array = np.fromiter(values, dtype=float)
    if not array.size:
        return None
    ranks = np.percentile(array, PERCENTILES, method="inverted_cdf")
    named = {f"p{share}": float(value) for share, value in zip(PERCENTILES, ranks, strict=True)}
    return {"mean": float(array.mean()), **named, "longest": float(array.max())}


def _median_and_tail(values: Sequence[float]) -> tuple[float, float] | None:
    found = percentiles(values)
    return None if found is None else (found["p50"], found["p95"])
