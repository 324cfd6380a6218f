"""Figures, and tables of them in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of ``values`` that at least ``share`` of them do not exceed (nearest rank); NaN for none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str | int | float]]) -> str:
    """Return a Markdown table; numbers stand on the right, and floats get one decimal below a hundred."""
    cells = [[_written(value) for value in row] for row in rows]
    widths = [max(len(row[n]) for row in [list(columns), *cells]) for n in range(len(columns))]
    right = [all(not isinstance(row[n], str) for row in rows) for n in range(len(columns))]
    rule = [f"{'-' * (width - 1)}:" if flush else "-" * width for width, flush in zip(widths, right, strict=True)]
    lines = [list(columns), rule, *cells]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if flush else cell.ljust(width) for cell, width, flush in zip(line, widths, right, strict=True)
        )
        + " |"
        for line in lines
    )


def _written(value: str | int | float) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else value
