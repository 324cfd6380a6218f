"""Files without definitions: windows of lines that break at blank lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

WINDOW_LINES = 50
"""Wanted length of a window; a paragraph that would not fit starts the next one."""


def windows(lines: Sequence[str], first: int, last: int, longest: int = WINDOW_LINES) -> Iterator[tuple[int, int]]:
    """Yield (first, last) rows, from 0 and inclusive, that cover all rows but blank ones at either end.

    No window is longer than ``longest`` rows. A window ends at a blank line in its second half if there is one.
    """
    while first <= last:
        while first <= last and not lines[first].strip():
            first += 1
        if first > last:
            return
        end = min(first + longest - 1, last)
        if end < last:
            blank = next((row for row in range(end + 1, first + longest // 2, -1) if not lines[row].strip()), None)
            end = blank - 1 if blank is not None else end
        stop = end
        while not lines[stop].strip():
            stop -= 1
        yield first, stop
        first = end + 1
