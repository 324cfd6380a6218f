"""YAML, JSON, TOML and INI files to their keys: ``jobs.build`` of a workflow, ``[tool.ruff]`` of a project.

Read by indentation and brackets rather than parsed, so that templates, comments and unfinished files work too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cia.chunking.lines import WINDOW_LINES, windows

LONE_ENTRY_LINES = 8
"""A key with at least this many lines stands alone; smaller neighbours share a chunk."""

_YAML_KEY = re.compile(r"(?:- +)?(\"[^\"]*\"|'[^']*'|[^\s#:'\"\[\]{},&*!|>%@`-][^#:]*?)\s*:(?:\s|$)")
_JSON_KEY = re.compile(r"\"((?:[^\"\\]|\\.)*)\"\s*:")
_TABLE = re.compile(r"\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:[#;].*)?$")
KEYED = frozenset({"yaml", "json", "toml", "ini"})


@dataclass(frozen=True, slots=True)
class Entry:
    """Rows of a key and what stands under it, counted from 0 and inclusive; ``path`` joins the keys with dots."""

    first: int
    last: int
    path: str


def entries(language: str, lines: Sequence[str]) -> list[Entry]:
    """Return the parts of a ``yaml``, ``json``, ``toml`` or ``ini`` file in order; a short file is one part without a path."""
    last = len(lines) - 1
    if last < WINDOW_LINES:
        return [Entry(*rows, "") for rows in windows(lines, 0, last)]
    if language in ("toml", "ini"):
        found = list(_tables(lines))
    else:
        key = _YAML_KEY if language == "yaml" else _JSON_KEY
        found = [part for top in _split(lines, 0, last, "", key) for part in _deeper(lines, top, key)]
    return [Entry(*rows, path) for first, end, path in _gathered(found) for rows in windows(lines, first, end)]


def _tables(lines: Sequence[str]) -> Iterator[Entry]:
    first, path = 0, ""
    for row, line in enumerate(lines):
        if line.startswith("[") and len(line) < 200 and (table := _TABLE.match(line)):
            start = _with_comments(lines, row, first)
            if start > first:
                yield Entry(first, start - 1, path)
            first, path = start, table[1].replace('"', "")
    yield Entry(first, len(lines) - 1, path)


def _deeper(lines: Sequence[str], entry: Entry, key: re.Pattern[str]) -> Iterator[Entry]:
    """Split a long entry once more, one level down."""
    if entry.path and entry.last - entry.first >= WINDOW_LINES:
        yield from _split(lines, entry.first + 1, entry.last, entry.path, key, entry.first)
    else:
        yield entry


def _split(
    lines: Sequence[str], first: int, last: int, path: str, key: re.Pattern[str], begin: int | None = None
) -> Iterator[Entry]:
    """Cut rows at the keys of the least indentation. What precedes the first key goes to it."""
    keys: list[tuple[int, int, str]] = []
    for row in range(first, last + 1):
        text = lines[row].lstrip(" \t")
        if text and (match := key.match(text[:300])):
            keys.append((len(lines[row]) - len(text), row, match[1].strip("\"' ")))
    least = min((indent for indent, _, _ in keys), default=0)
    begin = first if begin is None else begin
    name = ""
    for indent, row, found in keys:
        if indent > least:
            continue
        start = _with_comments(lines, row, begin)
        if name and start > begin:
            yield Entry(begin, start - 1, f"{path}.{name}" if path else name)
            begin = start
        name = found
    yield Entry(begin, last, f"{path}.{name}" if path and name else name or path)


def _with_comments(lines: Sequence[str], row: int, first: int) -> int:
    """The row where the comments right above ``row`` begin."""
    while row > first and lines[row - 1].lstrip()[:1] in ("#", ";") and lines[row - 1].strip():
        row -= 1
    return row


def _gathered(found: Sequence[Entry]) -> Iterator[tuple[int, int, str]]:
    """Join small neighbours up to a window; their common path remains."""
    group: list[Entry] = []
    for entry in found:
        is_large = entry.last - entry.first + 1 >= LONE_ENTRY_LINES
        if group and (is_large or entry.last - group[0].first >= WINDOW_LINES):
            yield group[0].first, group[-1].last, _common(group)
            group = []
        if is_large:
            yield entry.first, entry.last, entry.path
        else:
            group.append(entry)
    if group:
        yield group[0].first, group[-1].last, _common(group)


def _common(group: Sequence[Entry]) -> str:
    if len(group) == 1:
        return group[0].path
    outer = {entry.path.rpartition(".")[0] for entry in group}
    return outer.pop() if len(outer) == 1 else ""
