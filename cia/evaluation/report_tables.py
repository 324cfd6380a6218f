"""What the pages of a report show, before it is Markdown or HTML: rows of a table, and the answers that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from cia.evaluation.bootstrap import Interval
from cia.evaluation.comparison import compare, total_change
from cia.evaluation.gate import Decision
from cia.evaluation.metrics import METRICS
from cia.evaluation.report import UNANSWERABLE, EvaluationReport, Row
from cia.proportions import Share

CONFIDENCE = 0.95
"""Of the intervals on a page that shows no decision."""

MOST_CHANGED = 4
"""How many answers of a kind are shown of those that became better, and of those that became worse."""

Table = list[list[str]]
"""The first row is the header."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The answers to one kind of question that changed: pairs of now and before, ``unshown`` more than are listed."""

    kind: str
    better: Sequence[tuple[Row, Row]]
    worse: Sequence[tuple[Row, Row]]
    unshown: int


def title(report: EvaluationReport, baseline: EvaluationReport | None) -> str:
    """Return the heading of a page."""
    return f"{report.name} against {baseline.name}" if baseline else f"Evaluation of {report.name}"


def origin(report: EvaluationReport) -> str:
    """Return a sentence that says what the scores rest on, and what is wrong with them."""
    text = f"{len(report.rows)} questions, judge {report.judge}, "
    text += f"data {report.data_hash[:12]}, index {report.index_fingerprint[:12]}."
    if report.judge_failures:
        text += f" The judge failed on {report.judge_failures} verdicts; they count as failed."
    if report.leaked:
        text += f" The training set gives away {len(report.leaked)} of the questions."
    return text


def intervals(report: EvaluationReport, baseline: EvaluationReport, decision: Decision | None) -> Mapping[str, Interval]:
    """Return the differences that the gate looked at; where it looked at none, those of CONFIDENCE."""
    return decision.differences if decision and decision.differences else compare(report, baseline, CONFIDENCE)


def metric_table(report: EvaluationReport, baseline: EvaluationReport | None, decision: Decision | None) -> Table:
    """Return the means; beside a baseline also its means, the differences, and what the gate asks."""
    ours = report.means
    if baseline is None:
        return [["metric", report.name], *([readable(name), f"{value:.3f}"] for name, value in ours.items())]
    theirs, rules = baseline.means, decision.rules if decision else {}
    confidence = decision.confidence if decision and decision.differences else CONFIDENCE
    header = ["metric", report.name, baseline.name, f"difference [{confidence * 100:g}% interval]"]
    rows = [header + ["the gate asks"] * bool(rules)]
    for name, change in intervals(report, baseline, decision).items():
        means = [f"{system.get(name, 0.0):.3f}" for system in (ours, theirs)]
        rows.append([readable(name), *means, str(change)] + [rules.get(name, "")] * bool(rules))
    return rows


def figure_table(report: EvaluationReport, baseline: EvaluationReport | None) -> Table:
    """Return what is counted and timed, and not judged."""
    systems = [report, baseline] if baseline else [report]
    rows = {
        "declined, though the code answers": [_share(system.declined_though_answerable) for system in systems],
        "answered, though the code does not": [_share(system.answered_though_unanswerable) for system in systems],
        "words an answer": [f"{system.answer_words:.0f}" for system in systems],
        "tokens written a second": [
            f"{system.tokens_per_second:.0f}" if system.tokens_per_second else "not counted" for system in systems
        ],
        "seconds to answer, in all": [f"{system.answering_seconds:.1f}" for system in systems],
        "seconds to judge": [f"{max(0.0, system.seconds - system.answering_seconds):.1f}" for system in systems],
        "verdicts the judge failed to give": [str(system.judge_failures) for system in systems],
    }
    return [["counted and timed", *(system.name for system in systems)], *([name, *values] for name, values in rows.items())]


def kind_table(report: EvaluationReport, baseline: EvaluationReport | None) -> Table:
    """Return the means by kind of question, those of the baseline in brackets."""
    kinds, before = report.by_kind(), baseline.by_kind() if baseline else {}
    shown = [name for name in METRICS if any(name in values for values in kinds.values())]
    counts = {kind: sum(row.kind == kind for row in report.rows) for kind in kinds}
    rows = [
        [f"{kind} ({counts[kind]})", *(_beside(values.get(name), before.get(kind, {}).get(name)) for name in shown)]
        for kind, values in kinds.items()
    ]
    return [["kind", *map(readable, shown)], *rows]


def changed(report: EvaluationReport, baseline: EvaluationReport | None) -> list[Changed]:
    """Return the answers that changed by kind of question, those that changed most first."""
    if baseline is None:
        return []
    partners = {row.id: row for row in baseline.rows}
    pairs = [(row, partners[row.id]) for row in report.rows if row.id in partners]
    pairs = sorted((pair for pair in pairs if total_change(*pair)), key=lambda pair: (pair[0].kind, pair[0].id))
    found = []
    for kind, group in groupby(pairs, key=lambda pair: pair[0].kind):
        ordered = sorted(group, key=lambda pair: -abs(total_change(*pair)))
        better = [pair for pair in ordered if total_change(*pair) > 0]
        worse = [pair for pair in ordered if total_change(*pair) < 0]
        shown = better[:MOST_CHANGED], worse[:MOST_CHANGED]
        found.append(Changed(kind, *shown, len(ordered) - len(shown[0]) - len(shown[1])))
    return found


def outcome(row: Row) -> str:
    """Return in a few words how an answer ended."""
    if not row.answer.strip():
        return "empty"
    if row.abstained:
        return "declined, rightly" if row.kind == UNANSWERABLE else "declined, though the code answers"
    if row.kind == UNANSWERABLE:
        return "answered, though the code does not"
    if not row.citations:
        return "cites nothing"
    return "right place" if row.values.get("right_line_rate") else "wrong place"


def readable(metric: str) -> str:
    """Return a metric's name as people write it."""
    return metric.replace("_", " ")


def _share(share: Share) -> str:
    return f"{share.hits} of {share.count} ({share.rate:.0%})" if share.count else "no such question"


def _beside(ours: float | None, theirs: float | None) -> str:
    if ours is None:
        return ""
    return f"{ours:.2f}" if theirs is None else f"{ours:.2f} ({theirs:.2f})"
