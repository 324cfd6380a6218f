"""A report as one HTML file that needs nothing else: no script, no font, no picture, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cia.evaluation.gate import Decision
from cia.evaluation.report import EvaluationReport, Row
from cia.evaluation.report_plot import interval_plot
from cia.evaluation.report_tables import (
    Table,
    changed,
    figure_table,
    intervals,
    kind_table,
    metric_table,
    origin,
    outcome,
    title,
)

EXCERPT = 900

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--paper:#fff;--soft:#5b6876;--rule:#d8dee6;--up:#1f7a47;--down:#b03a2e;--tint:#f4f6f9}
@media(prefers-color-scheme:dark){:root{--ink:#e3e8ef;--paper:#14181f;--soft:#9aa7b6;--rule:#323b47;--up:#5cc98b;--down:#f0877a;
--tint:#1c222b}}
body{font:16px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}small,.tick{color:var(--soft)}.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.8rem 0;font-size:.92rem}
td,th{padding:.3rem .7rem;border-bottom:1px solid var(--rule);text-align:right;vertical-align:bottom}td{white-space:nowrap}
td:first-child,th:first-child{text-align:left;padding-left:0}th{color:var(--soft);font-weight:500}
.word{border-left:4px solid var(--soft);padding:.6rem 1rem;background:var(--tint);overflow-wrap:anywhere}
.word.promoted{border-color:var(--up)}.word.refused{border-color:var(--down)}
svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:var(--ink)}svg .tick{fill:var(--soft)}
svg line{stroke:var(--rule)}svg .zero{stroke:var(--soft)}svg g line{stroke-width:3;stroke-linecap:round;stroke:var(--soft)}
svg circle{fill:var(--soft)}svg .up line{stroke:var(--up)}svg .up circle{fill:var(--up)}
svg .down line{stroke:var(--down)}svg .down circle{fill:var(--down)}.figure{font-variant-numeric:tabular-nums}
details{border-top:1px solid var(--rule);padding:.6rem 0}summary{cursor:pointer}h3{font-size:1rem;margin:1.2rem 0 .2rem}
.sides{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.sides>div{min-width:0}
blockquote{margin:.3rem 0;padding:.4rem .8rem;border-left:3px solid var(--rule);white-space:pre-wrap;overflow-wrap:anywhere}
.right{color:var(--soft);margin:.2rem 0;overflow-wrap:anywhere}
@media(max-width:40rem){.sides{grid-template-columns:1fr;gap:.2rem}}
"""


def html(report: EvaluationReport, baseline: EvaluationReport | None, decision: Decision | None) -> str:
    """Return the report as HTML with its plot inside, the gate's word first."""
    heading = escape(title(report, baseline))
    parts = [f"<h1>{heading}</h1>"]
    if decision:
        word = "promoted" if decision.promoted else "refused"
        parts.append(f'<p class="word {word}">{escape(decision.reason)}</p>')
    parts.append(f"<p><small>{escape(origin(report))}</small></p>")
    if baseline:
        parts.append(interval_plot(intervals(report, baseline, decision), f"{report.name} minus {baseline.name}"))
    parts += [_table(metric_table(report, baseline, decision)), _table(figure_table(report, baseline))]
    parts += ["<h2>By kind of question</h2>", _table(kind_table(report, baseline))]
    groups = changed(report, baseline)
    parts += ["<h2>Answers that changed</h2>"] if groups else []
    for group in groups:
        count = len(group.better) + len(group.worse) + group.unshown
        parts.append(f"<details open><summary>{escape(group.kind)}: {count} changed</summary>")
        parts += [_pairs("Better", group.better), _pairs("Worse", group.worse)]
        parts.append(f"<p><small>{group.unshown} more changed less.</small></p></details>" if group.unshown else "</details>")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    head += f"<title>{heading}</title><style>{STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _table(rows: Table) -> str:
    header, *body = rows
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in body)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _pairs(heading: str, pairs: Sequence[tuple[Row, Row]]) -> str:
    parts = []
    for row, before in pairs:
        parts.append(f"<h3>{heading}: {escape(row.question)}</h3>")
        parts.append(f'<p class="right">right: {escape(_cut(row.expected))}</p><div class="sides">')
        parts += [_side("now", row), _side("before", before), "</div>"]
    return "".join(parts)


def _side(when: str, row: Row) -> str:
    answer = escape(_cut(row.answer.strip()) or "(empty)")
    return f"<div><small>{when}: {escape(outcome(row))}</small><blockquote>{answer}</blockquote></div>"


def _cut(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT].rstrip()} ..."
