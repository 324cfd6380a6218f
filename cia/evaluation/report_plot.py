"""The plot of a report: a line for each metric, drawn as SVG in the colours of the page around it."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

from cia.evaluation.bootstrap import Interval
from cia.evaluation.report_tables import readable

WIDTH, LABELS, FIGURES, ROW, MARGIN = 720, 170, 150, 26, 14
"""In units of the drawing: the whole, the columns to the left and right of the plot, a row, the space around it."""

MOST_TICKS = 6


def interval_plot(differences: Mapping[str, Interval], caption: str) -> str:
    """Return an SVG of means with their intervals around 0: a metric above 0 has class ``up``, below ``down``, else ``level``."""
    ends = [0.0, *(end for interval in differences.values() for end in (interval.low, interval.high))]
    step = _step(min(ends), max(ends))
    first, last = math.floor(min(ends) / step), math.ceil(max(ends) / step)
    last = max(last, first + 1)
    left, right = LABELS + MARGIN, WIDTH - FIGURES - MARGIN

    def x(value: float) -> str:
        return f"{left + (value / step - first) / (last - first) * (right - left):.1f}"

    bottom = MARGIN + ROW * len(differences)
    parts = []
    for tick in range(first, last + 1):
        name = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{name}" x1="{x(tick * step)}" x2="{x(tick * step)}" y1="{MARGIN}" y2="{bottom}"/>')
        label = f"{tick * step:+.2f}" if tick else "0"
        parts.append(f'<text class="tick" x="{x(tick * step)}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
    for number, (metric, change) in enumerate(differences.items()):
        y = MARGIN + ROW * number + ROW / 2
        direction = "up" if change.low > 0 else "down" if change.high < 0 else "level"
        parts.append(f'<text x="{LABELS}" y="{y + 4}" text-anchor="end">{html.escape(readable(metric))}</text>')
        parts.append(f'<g class="{direction}"><line x1="{x(change.low)}" x2="{x(change.high)}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle cx="{x(change.mean)}" cy="{y}" r="4.5"/></g>')
        parts.append(f'<text class="figure" x="{WIDTH}" y="{y + 4}" text-anchor="end">{change}</text>')
    height = bottom + 40
    parts.append(
        f'<text class="tick" x="{(left + right) / 2}" y="{height - 6}" text-anchor="middle">{html.escape(caption)}</text>'
    )
    drawing = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(caption)}">{drawing}</svg>'


def _step(lowest: float, highest: float) -> float:
    """The distance of two ticks: 1, 2 or 5 times a power of ten, so that few of them cover the range."""
    wanted = max(highest - lowest, 0.05) / MOST_TICKS
    power = 10.0 ** math.floor(math.log10(wanted))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= wanted), 10 * power)
