"""Whether a candidate is promoted: a measured gain on the same questions against the same index, and nothing lost for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cia.evaluation.bootstrap import Interval
from cia.evaluation.comparison import compare
from cia.evaluation.report import EvaluationReport
from cia.settings import EvaluationSettings


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is one sentence for people; ``differences`` hold candidate minus baseline by metric, with the interval."""

    promoted: bool
    reason: str
    differences: dict[str, Interval] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the decision as plain JSON values."""
        return asdict(self)


def decide(candidate: EvaluationReport, baseline: EvaluationReport, settings: EvaluationSettings) -> Decision:
    """Return whether ``candidate`` is promoted over ``baseline`` (Production, or the extractive answers when there is none).

    Promoted only if the interval of the gain on one of ``gain_metrics`` lies above 0, no other metric's mean falls by more
    than ``tolerance``, and every floor in ``minimum`` is reached. Two reports that cannot be compared are a refusal.
    The error rate is shared out among the gain metrics (Bonferroni): asking for two does not double the chance of luck.
    """
    problem = _incomparable(candidate, baseline, settings)
    if problem:
        return Decision(False, f"refused: {problem}")
    confidence = 1 - (1 - settings.confidence) / max(1, len(settings.gain_metrics))
    differences = compare(candidate, baseline, confidence)
    gained = [name for name in settings.gain_metrics if name in differences and differences[name].low > 0]
    problem = (
        _below_floor(candidate, settings)
        or _fallen(differences, gained, settings.tolerance)
        or _no_gain(differences, gained, settings)
    )
    if problem:
        return Decision(False, f"refused: {problem}", differences)
    gains = " and ".join(f"{name} gained {differences[name]}" for name in gained)
    return Decision(True, f"promoted: {gains} on {len(candidate.rows)} questions, and nothing else fell", differences)


def _incomparable(candidate: EvaluationReport, baseline: EvaluationReport, settings: EvaluationSettings) -> str:
    if candidate.data_hash != baseline.data_hash:
        return "the two were scored on different question sets; score both on the same one"
    if candidate.index_fingerprint != baseline.index_fingerprint:
        return "the two were scored against different indexes; score both against the same one"
    if candidate.judge != baseline.judge:
        return f"the two were scored by different judges ({candidate.judge}, {baseline.judge}); score both with one"
    ids = [row.id for row in candidate.rows]
    if len(set(ids)) != len(ids) or sorted(ids) != sorted(row.id for row in baseline.rows):
        return "the two did not answer the same questions; score both on the same ones"
    if len(ids) < settings.minimum_questions:
        return f"{len(ids)} questions are too few to tell, {settings.minimum_questions} are needed"
    leaked = sorted({*candidate.leaked, *baseline.leaked})
    if leaked:
        return f"the training set gives away {len(leaked)} of the questions ({leaked[0]}, ...); build the data set again"
    return ""


def _below_floor(candidate: EvaluationReport, settings: EvaluationSettings) -> str:
    reached = candidate.means
    for name, floor in settings.minimum.items():
        if not reached.get(name, 0.0) >= floor:
            return f"{name} is {reached.get(name, 0.0):.3f}, below its floor of {floor:g}"
    return ""


def _fallen(differences: dict[str, Interval], gained: Sequence[str], tolerance: float) -> str:
    # Rounded as it is shown, so that a mean that fell by just the tolerance is not refused for a bit of its last digit.
    for name, change in differences.items():
        if name not in gained and round(change.mean, 6) < -tolerance:
            return f"{name} fell by {-change.mean:.3f}, more than the tolerance of {tolerance:g}"
    return ""


def _no_gain(differences: dict[str, Interval], gained: Sequence[str], settings: EvaluationSettings) -> str:
    if gained:
        return ""
    tried = [name for name in settings.gain_metrics if name in differences]
    if not tried:
        return f"none of {', '.join(settings.gain_metrics)} was measured"
    best = max(tried, key=lambda name: differences[name].mean)
    change = differences[best]
    verb = "gained" if change.mean >= 0 else "lost"
    numbers = f"{abs(change.mean):.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    return f"{best} {verb} {numbers}, the interval " + ("includes 0" if change.high >= 0 else "lies below 0")
