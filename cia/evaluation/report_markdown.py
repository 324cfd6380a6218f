"""A report as a Markdown page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cia.evaluation.gate import Decision
from cia.evaluation.report import EvaluationReport, Row
from cia.evaluation.report_tables import Table, changed, figure_table, kind_table, metric_table, origin, outcome, title

EXCERPT = 400

CODE_OR_TAG = re.compile(r"`[^`]*`|<")


def markdown(report: EvaluationReport, baseline: EvaluationReport | None, decision: Decision | None) -> str:
    """Return the report as Markdown, the gate's word first."""
    lines = [f"# {title(report, baseline)}", ""]
    lines += [f"**{decision.reason}**", ""] if decision else []
    lines += [origin(report), ""]
    lines += [*_table(metric_table(report, baseline, decision)), *_table(figure_table(report, baseline))]
    lines += ["## By kind of question", "", *_table(kind_table(report, baseline))]
    for group in changed(report, baseline):
        lines += [f"## Changed: {group.kind}", ""]
        for heading, pairs in (("Better", group.better), ("Worse", group.worse)):
            lines += [f"### {heading}", ""] if pairs else []
            for row, before in pairs:
                lines += _pair(row, before)
        lines += [f"{group.unshown} more answers changed less.", ""] if group.unshown else []
    return "\n".join(lines).rstrip() + "\n"


def markdown_table(rows: Table) -> str:
    """Return a table whose first row is the header; numbers stand to the right."""
    header, *body = rows
    return "\n".join([_row(header), _row(["---", *["---:"] * (len(header) - 1)]), *map(_row, body)])


def _table(rows: Table) -> list[str]:
    return [markdown_table(rows), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _pair(row: Row, before: Row) -> Iterator[str]:
    yield from (f"**{_flat(row.question)}**", "", f"*right:* {_flat(row.expected)}", "")
    yield from (f"*now, {outcome(row)}:* {_flat(row.answer)}", "")
    yield from (f"*before, {outcome(before)}:* {_flat(before.answer)}", "")


def _flat(text: str) -> str:
    # An answer is shown in one line: its own headings and fences must not become the report's.
    cut = text if len(text) <= EXCERPT else f"{text[:EXCERPT].rstrip()} ..."
    line = " ".join(cut.replace("`" * 3, "").split())
    return CODE_OR_TAG.sub(lambda found: "&lt;" if found.group() == "<" else found.group(), line) or "(empty)"
