"""Markdown and reStructuredText to sections: a heading with what stands under it, up to the next heading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cia.chunking.lines import trimmed, windows

SECTION_LINES = 80
"""A longer section is cut at blank lines; every part keeps the heading path."""

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_NOT_A_TITLE = re.compile(r" {0,3}(?:[-*+>|]|\d+[.)])(?:\s|$)| {4}|\t")
_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*\s*$")
_DIRECTIVE = re.compile(r"\.\. ")


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of a section, counted from 0 and inclusive, and its heading path (``Usage > Timeouts``; "" before any heading)."""

    first: int
    last: int
    path: str


@dataclass(frozen=True, slots=True)
class _Heading:
    row: int
    body: int
    level: int
    title: str


def sections(language: str, lines: Sequence[str]) -> list[Section]:
    """Return the sections of a ``markdown`` or ``rst`` file; a heading with nothing under it goes to its first subsection."""
    headings = list(_markdown(lines) if language == "markdown" else _rst(lines))
    found: list[Section] = []
    path: list[_Heading] = []
    begin = 0
    for index in range(-1, len(headings)):
        if index >= 0:
            heading = headings[index]
            path = [*(outer for outer in path if outer.level < heading.level), heading]
        body = headings[index].body if index >= 0 else 0
        last = headings[index + 1].row - 1 if index + 1 < len(headings) else len(lines) - 1
        start, stop = trimmed(lines, body, last)
        leads_on = index + 1 < len(headings) and (index < 0 or headings[index + 1].level > headings[index].level)
        if start > stop and leads_on:
            continue
        symbol = " > ".join(outer.title for outer in path if outer.title)
        found.extend(Section(*rows, symbol) for rows in windows(lines, begin, last, SECTION_LINES))
        begin = last + 1
    return found


def _markdown(lines: Sequence[str]) -> Iterator[_Heading]:
    """ATX and setext headings of CommonMark 0.31, outside fenced code and front matter."""
    fence = ""
    paragraph = top = _front_matter(lines)
    for row in range(top, len(lines)):
        line = lines[row]
        marks = _FENCE.match(line)
        if fence:
            if marks and marks[1].startswith(fence) and not marks[2].strip():
                fence, paragraph = "", row + 1
        elif marks and not (marks[1][0] == "`" and "`" in marks[2]):
            fence = marks[1]
        elif heading := _ATX.match(line):
            yield _Heading(row, row + 1, len(heading[1]), _plain((heading[2] or "").strip().rstrip("#").rstrip()))
            paragraph = row + 1
        elif not line.strip():
            paragraph = row + 1
        elif row > paragraph and (underline := _SETEXT.match(line)) and not _NOT_A_TITLE.match(lines[paragraph]):
            title = " ".join(part.strip() for part in lines[paragraph:row])
            yield _Heading(paragraph, row + 1, 1 if underline[1][0] == "=" else 2, _plain(title))
            paragraph = row + 1


def _front_matter(lines: Sequence[str]) -> int:
    """The row below a ``---`` block at the top of the file, else 0."""
    if lines and lines[0].rstrip() == "---":
        for row in range(1, len(lines)):
            if lines[row].rstrip() in ("---", "..."):
                return row + 1
    return 0


def _rst(lines: Sequence[str]) -> Iterator[_Heading]:
    """Underlined titles, with or without an overline; a style's level is the order in which it first appears."""
    styles: list[tuple[str, bool]] = []
    row = 0
    while row + 1 < len(lines):
        line, below = lines[row], lines[row + 1]
        overlined = row + 2 < len(lines) and bool(_ADORNMENT.match(line)) and _underlines(lines[row + 2], below)
        overlined = overlined and lines[row + 2].strip()[0] == line[0] and len(line.strip()) >= 3
        is_title = bool(line[:1].strip()) and not _DIRECTIVE.match(line) and not _ADORNMENT.match(line)
        after_blank = row == 0 or not lines[row - 1].strip() or bool(_DIRECTIVE.match(lines[row - 1]))
        if after_blank and (overlined or (is_title and _underlines(below, line))):
            title, mark, rows = (below, line[0], 3) if overlined else (line, below[0], 2)
            style = (mark, overlined)
            if style not in styles:
                styles.append(style)
            yield _Heading(row, row + rows, styles.index(style) + 1, _plain(title.strip()))
            row += rows
        else:
            row += 1


def _underlines(line: str, title: str) -> bool:
    """Whether ``line`` is an adornment as long as ``title``, or of at least four marks as docutils lets pass."""
    length = len(line.strip())
    return bool(title.strip()) and bool(_ADORNMENT.match(line)) and length >= min(4, max(len(title.strip()), 2))


def _plain(title: str) -> str:
    """A title without links, emphasis and code marks, so that it can be searched for and shown."""
    if len(title) > 300:
        return title[:300]
    title = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])|:[\w:-]+:(?=`)", r"\1", title)
    return " ".join(re.sub(r"\{#[^}]*\}|[`*]|<[^<>]*>", "", title).split())
