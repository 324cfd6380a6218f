"""Two reports on the same questions, compared question by question."""

from __future__ import annotations

from cia.evaluation.bootstrap import Interval, paired_interval
from cia.evaluation.metrics import METRICS
from cia.evaluation.report import EvaluationReport, Row


def compare(candidate: EvaluationReport, baseline: EvaluationReport, confidence: float) -> dict[str, Interval]:
    """Return candidate minus baseline by metric, over the questions both answered, each with its bootstrap interval."""
    partners = {row.id: row for row in baseline.rows}
    found: dict[str, Interval] = {}
    for metric in METRICS:
        pairs = [(row, partners[row.id]) for row in candidate.rows if row.id in partners]
        changes = [difference for ours, theirs in pairs if (difference := change(ours, theirs, metric)) is not None]
        if changes:
            found[metric] = paired_interval(changes, confidence)
    return found


def change(candidate: Row, baseline: Row, metric: str) -> float | None:
    """Return candidate minus baseline on one question; None where the metric says nothing about it.

    What was not judged counts against the candidate on either side: a failing judge must never look like a gain.
    """
    ours, theirs = candidate.values.get(metric), baseline.values.get(metric)
    if ours is None and theirs is None:
        return None
    worst = 0.0 if ours is None or metric in candidate.failures else ours
    best = 1.0 if theirs is None or metric in baseline.failures else theirs
    return worst - best


def total_change(candidate: Row, baseline: Row) -> float:
    """Return the sum of the changes over all metrics: how much better (or worse) one answer became."""
    return sum(change(candidate, baseline, metric) or 0.0 for metric in METRICS)
