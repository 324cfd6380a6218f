"""A report as a page for people: Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

import html as escaping
import io
from collections.abc import Sequence

from cia.evaluation.bootstrap import Interval
from cia.evaluation.comparison import compare, total_change
from cia.evaluation.metrics import METRICS
from cia.evaluation.report import EvaluationReport, Row

CONFIDENCE = 0.95
MOST_CHANGED = 5
"""How many answers are shown of those that became better, and of those that became worse."""

EXCERPT = 400

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;border-bottom:1px solid #d8dee6;text-align:right}
td:first-child,th:first-child{text-align:left}blockquote{margin:.3rem 0;padding:.2rem .8rem;border-left:3px solid #b7c3d0;
white-space:pre-wrap;overflow-wrap:anywhere}svg{max-width:100%;height:auto}small{color:#5b6876}"""


def markdown(report: EvaluationReport, baseline: EvaluationReport | None) -> str:
    """Return the report as Markdown."""
    lines = [f"# {_title(report, baseline)}", "", _origin(report), ""]
    header, *rows = _table(report, baseline)
    lines += [_markdown_row(header), _markdown_row(["---", *["---:"] * (len(header) - 1)]), *map(_markdown_row, rows), ""]
    lines += ["## By kind of question", ""]
    header, *rows = _kinds(report)
    lines += [_markdown_row(header), _markdown_row(["---", *["---:"] * (len(header) - 1)]), *map(_markdown_row, rows), ""]
    for heading, changed in _changed(report, baseline):
        lines += [f"## {heading}", ""]
        for row, before in changed:
            lines += [
                f"**{_flat(row.question)}**",
                "",
                f"*now:* {_flat(row.answer)}",
                "",
                f"*before:* {_flat(before.answer)}",
                "",
            ]
    return "\n".join(lines).rstrip() + "\n"


def html(report: EvaluationReport, baseline: EvaluationReport | None) -> str:
    """Return the report as HTML with its plot inside."""
    parts = [f"<h1>{_text(_title(report, baseline))}</h1><p><small>{_text(_origin(report))}</small></p>"]
    parts += [_plot(report, baseline), _html_table(_table(report, baseline))]
    parts += ["<h2>By kind of question</h2>", _html_table(_kinds(report))]
    for heading, changed in _changed(report, baseline):
        parts.append(f"<h2>{_text(heading)}</h2>")
        for row, before in changed:
            parts.append(f"<h3>{_text(_flat(row.question))}</h3><p>now</p><blockquote>{_text(_cut(row.answer))}</blockquote>")
            parts.append(f"<p>before</p><blockquote>{_text(_cut(before.answer))}</blockquote>")
    head = f'<meta charset="utf-8"><title>{_text(_title(report, baseline))}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _title(report: EvaluationReport, baseline: EvaluationReport | None) -> str:
    return f"{report.name} against {baseline.name}" if baseline else f"Evaluation of {report.name}"


def _origin(report: EvaluationReport) -> str:
    text = f"{len(report.rows)} questions, judge {report.judge}, "
    text += f"data {report.data_hash[:12]}, index {report.index_fingerprint[:12]}."
    if report.judge_failures:
        text += f" The judge failed on {report.judge_failures} verdicts; they count as failed."
    if report.leaked:
        text += f" The training set gives away {len(report.leaked)} of the questions."
    return text


def _table(report: EvaluationReport, baseline: EvaluationReport | None) -> list[list[str]]:
    ours = report.means
    words = sum(row.answer_words for row in report.rows) / max(1, len(report.rows))
    if baseline is None:
        return [
            ["metric", report.name],
            *([name, f"{value:.3f}"] for name, value in ours.items()),
            ["answer words", f"{words:.0f}"],
        ]
    theirs, changes = baseline.means, compare(report, baseline, CONFIDENCE)
    rows = [["metric", report.name, baseline.name, f"difference [{CONFIDENCE:.0%} interval]"]]
    rows += [
        [name, f"{ours.get(name, 0.0):.3f}", f"{theirs.get(name, 0.0):.3f}", str(change)] for name, change in changes.items()
    ]
    before = sum(row.answer_words for row in baseline.rows) / max(1, len(baseline.rows))
    return [*rows, ["answer words", f"{words:.0f}", f"{before:.0f}", f"{words - before:+.0f}"]]


def _kinds(report: EvaluationReport) -> list[list[str]]:
    kinds = report.by_kind()
    shown = [name for name in METRICS if any(name in values for values in kinds.values())]
    counts = {kind: sum(row.kind == kind for row in report.rows) for kind in kinds}
    rows = [
        [f"{kind} ({counts[kind]})", *(f"{values[name]:.2f}" if name in values else "" for name in shown)]
        for kind, values in kinds.items()
    ]
    return [["kind", *(name.replace("_", " ") for name in shown)], *rows]


def _changed(report: EvaluationReport, baseline: EvaluationReport | None) -> list[tuple[str, list[tuple[Row, Row]]]]:
    if baseline is None:
        return []
    partners = {row.id: row for row in baseline.rows}
    pairs = [(row, partners[row.id]) for row in report.rows if row.id in partners]
    ordered = sorted(pairs, key=lambda pair: (total_change(*pair), pair[0].id))
    better = [pair for pair in reversed(ordered) if total_change(*pair) > 0][:MOST_CHANGED]
    worse = [pair for pair in ordered if total_change(*pair) < 0][:MOST_CHANGED]
    return [(heading, found) for heading, found in (("Improved most", better), ("Got worse most", worse)) if found]


def _plot(report: EvaluationReport, baseline: EvaluationReport | None) -> str:
    """Return an SVG: the differences with their intervals, or without a baseline the means."""
    import matplotlib

    # A fixed salt and no date make the same report the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "evaluation", "svg.fonttype": "none", "font.size": 9}):
        from matplotlib.figure import Figure

        means = {name: Interval(value, value, value) for name, value in report.means.items()}
        shown = compare(report, baseline, CONFIDENCE) if baseline else means
        figure = Figure(figsize=(7, 0.4 * len(shown) + 1), layout="constrained")
        axes = figure.subplots()
        names = list(shown)[::-1]
        for place, name in enumerate(names):
            interval = shown[name]
            color = "#2a7f4f" if interval.low > 0 else "#b03a2e" if interval.high < 0 else "#5b6876"
            axes.plot([interval.low, interval.high], [place, place], color=color, linewidth=3, solid_capstyle="round")
            axes.plot([interval.mean], [place], "o", color=color)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.axvline(0, color="#1c2430", linewidth=0.8)
        axes.set_xlabel(f"{report.name} minus {baseline.name}" if baseline else "mean")
        axes.spines[["top", "right"]].set_visible(False)
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    svg = drawing.getvalue()
    return svg[svg.index("<svg") :]


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    header, *body = rows
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    lines = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _text(text: str) -> str:
    return escaping.escape(text)


def _cut(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT].rstrip()} ..."


def _flat(text: str) -> str:
    # In Markdown an answer is shown in one line: its own headings and fences must not become the report's.
    return " ".join(_cut(text).replace("`" * 3, "").split()) or "(empty)"
