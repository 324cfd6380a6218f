"""Files without definitions: windows of lines that break at blank lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

WINDOW_LINES = 50
"""Wanted length of a window; a paragraph that would not fit starts the next one."""


def windows(lines: Sequence[str], first: int, last: int, longest: int = WINDOW_LINES) -> Iterator[tuple[int, int]]:
    """Yield (first, last) rows, counted from 0 and inclusive, that cover all rows but blank ones at either end of a window.

    No window is longer than ``longest`` rows. A window ends at a blank line in its second half if there is one.
    """
    start, stop = trimmed(lines, first, last)
    while start <= stop:
        end = start + longest - 1
        if end < stop:
            half = start + longest // 2
            end = next((row for row in range(end, half, -1) if not lines[row + 1].strip()), end)
        yield trimmed(lines, start, min(end, stop))
        start, stop = trimmed(lines, end + 1, stop)


def trimmed(lines: Sequence[str], first: int, last: int) -> tuple[int, int]:
    """Return the rows without the blank ones at either end; first > last if all are blank."""
    while first <= last and not lines[first].strip():
        first += 1
    while first <= last and not lines[last].strip():
        last -= 1
    return first, last
