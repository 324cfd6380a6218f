"""Whether a candidate is promoted: a measured gain on the same questions against the same index, and nothing lost for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cia.evaluation.bootstrap import Interval
from cia.evaluation.comparison import compare
from cia.evaluation.metrics import METRICS
from cia.evaluation.report import EvaluationReport
from cia.settings import EvaluationSettings

MOST_QUESTIONS_FORESEEN = 10_000
"""Nobody writes more; a gain that takes more is called none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is one sentence for people; ``differences`` hold candidate minus baseline by metric, with the interval.

    ``confidence`` is that of the intervals, and ``rules`` say in a few words what the gate asked of each metric.
    """

    promoted: bool
    reason: str
    differences: dict[str, Interval] = field(default_factory=dict)
    confidence: float = 0.95
    rules: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the decision as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Decision:
        """Return what ``as_json`` made. Raises KeyError or TypeError for anything else."""
        differences = {name: Interval(**interval) for name, interval in document["differences"].items()}
        return cls(**{**document, "differences": differences})


def decide(candidate: EvaluationReport, baseline: EvaluationReport, settings: EvaluationSettings) -> Decision:
    """Return whether ``candidate`` is promoted over ``baseline``: Production, or what answers while nothing is there.

    Promoted only if the interval of the gain on one of ``gain_metrics`` lies above 0, no other metric's mean falls by more
    than its ``tolerance``, and every floor in ``minimum`` is reached. Two reports that cannot be compared are a refusal.
    The error rate is shared out among the gain metrics (Bonferroni): asking for two does not double the chance of luck.
    """
    problem = _unknown_metric(settings) or _incomparable(candidate, baseline, settings)
    if problem:
        return Decision(False, f"refused: {problem}")
    confidence = 1 - (1 - settings.confidence) / len(settings.gain_metrics)
    differences = compare(candidate, baseline, confidence)
    gained = [name for name in settings.gain_metrics if name in differences and differences[name].low > 0]
    problem = (
        _below_floor(candidate, settings)
        or _fallen(differences, gained, settings)
        or _no_gain(differences, gained, settings, len(candidate.rows))
    )
    rules = {name: _rule(name, settings) for name in differences}
    if problem:
        return Decision(False, f"refused: {problem}", differences, confidence, rules)
    gains = " and ".join(f"{name} gained {differences[name]}" for name in gained)
    reason = f"promoted: {gains} on {len(candidate.rows)} questions, and nothing else fell by more than its tolerance"
    return Decision(True, reason, differences, confidence, rules)


def _unknown_metric(settings: EvaluationSettings) -> str:
    # A misspelt tolerance would quietly be the default one.
    for key, names in (("gain_metrics", settings.gain_metrics), ("tolerance", settings.tolerance), ("minimum", settings.minimum)):
        for name in names:
            if name not in METRICS:
                return f"evaluation.{key} names {name!r}, which is no metric; there are {', '.join(METRICS)}"
    return ""


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


def _fallen(differences: Mapping[str, Interval], gained: Sequence[str], settings: EvaluationSettings) -> str:
    # Rounded as it is shown, so that a mean that fell by just the tolerance is not refused for a bit of its last digit.
    for name, change in differences.items():
        tolerance = _tolerance(name, settings)
        if name not in gained and round(change.mean, 6) < -tolerance:
            return f"{name} fell by {-change.mean:.3f}, more than the tolerance of {tolerance:g}"
    return ""


def _no_gain(differences: Mapping[str, Interval], gained: Sequence[str], settings: EvaluationSettings, questions: int) -> str:
    if gained:
        return ""
    tried = [name for name in settings.gain_metrics if name in differences]
    if not tried:
        return f"none of {', '.join(settings.gain_metrics)} was measured"
    best = max(tried, key=lambda name: differences[name].mean)
    change = differences[best]
    verb = "gained" if change.mean >= 0 else "lost"
    said = f"{best} {verb} {abs(change.mean):.3f} [{change.low:+.3f}, {change.high:+.3f}], the interval "
    if change.high < 0:
        return f"{said}lies below 0"
    needed = _questions_needed(change, questions)
    if change.mean <= 0 or needed > MOST_QUESTIONS_FORESEEN:
        return f"{said}includes 0"
    return f"{said}includes 0: {questions} questions cannot tell such a gain from luck, about {needed:,} could"


def _questions_needed(change: Interval, questions: int) -> int:
    """How many questions would put the lower end of an interval around the same mean at 0: its width falls with their root."""
    if change.mean <= 0:
        return MOST_QUESTIONS_FORESEEN + 1
    exact = questions * ((change.mean - change.low) / change.mean) ** 2
    return max(questions + 10, 10 * math.ceil(exact / 10))


def _tolerance(name: str, settings: EvaluationSettings) -> float:
    return settings.tolerance.get(name, settings.default_tolerance)


def _rule(name: str, settings: EvaluationSettings) -> str:
    fall = f"fall at most {_tolerance(name, settings):g}"
    rule = f"gain, or {fall}" if name in settings.gain_metrics else fall
    return f"{rule}; at least {settings.minimum[name]:g}" if name in settings.minimum else rule
