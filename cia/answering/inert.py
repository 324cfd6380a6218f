"""Markdown that does nothing: whatever a model writes, a client that renders it fetches, runs and links to nothing.

Outside code, what would begin HTML, a link, an image or a link's definition is escaped, so that it reads as it was written
(CommonMark 0.31.2). What is code is decided so that no parser sees less of it: a fence stands at the start of its line, an
inline span ends on its own line, and where ticks are left over, or a table may cut a span in two, nothing is code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# A lone carriage return ends a line too (CommonMark, section 2.1).
_LINE_END = re.compile(r"\r\n?")
# A fence inside a list or a quotation ends where that does, which takes a whole parser to see: it is moved out.
_FENCE_INSIDE = re.compile(r"^(?:[ \t]*(?:[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t])|>))*[ \t]*(?=`{3}|~{3})", re.MULTILINE)
_FENCE = re.compile(r"(`{3,})[^`\n]*$|(~{3,})", re.MULTILINE)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_BLANK_LINE = re.compile(r"(\n[ \t]*(?=\n|\Z))")
_TICKS = re.compile(r"\\.|`+")
_TABLE_RULE = re.compile(r"^[\s|:>*+-]*-[\s|:-]*$", re.MULTILINE)

_TAG = re.compile(r"\\*<(?=[A-Za-z/!?])")
_LINK = re.compile(r"\](?=[(:])")


def inert(text: str) -> str:
    """Return ``text`` with nothing active outside its code; the same again when it is given its own result."""
    written = (part if is_code else _LINK.sub(r"]\\", _TAG.sub(r"\\<", part)) for is_code, part in code_parts(plain_fences(text)))
    return "".join(written)


def plain_fences(text: str) -> str:
    """Return ``text`` with every fence at the start of its line, out of lists and quotations."""
    return _FENCE_INSIDE.sub("", _LINE_END.sub("\n", text))


def code_parts(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of ``text``, which has plain fences, in order: whether it is code, and the part."""
    prose: list[str] = []
    code: list[str] = []
    fence = ""
    for line in _LINE.findall(text):
        if fence:
            code.append(line)
            run = line.rstrip(" \t\n")
            if len(run) >= len(fence) and not run.strip(fence[0]):
                yield True, "".join(code)
                code, fence = [], ""
        elif opening := _FENCE.match(line):
            yield from _paragraphs("".join(prose))
            prose, code, fence = [], [line], opening[1] or opening[2]
        else:
            prose.append(line)
    if fence:
        yield True, "".join(code)
    yield from _paragraphs("".join(prose))


def _paragraphs(text: str) -> Iterator[tuple[bool, str]]:
    for paragraph in _BLANK_LINE.split(text):
        lines = [list(_spans(line)) for line in paragraph.split("\n")]
        even = all(is_code or "`" not in _TICKS.sub(_without_escape, part) for line in lines for is_code, part in line)
        if not even or _TABLE_RULE.search(paragraph):
            yield False, paragraph
            continue
        for number, line in enumerate(lines):
            yield from [(False, "\n"), *line] if number else line


def _without_escape(found: re.Match[str]) -> str:
    return "" if found.group().startswith("\\") else found.group()


def _spans(line: str) -> Iterator[tuple[bool, str]]:
    """Yield the inline code of one line and what is between (CommonMark, section 6.1)."""
    plain = at = 0
    while ticks := _TICKS.search(line, at):
        at = ticks.end()
        if ticks.group().startswith("\\"):
            continue
        end = re.compile(rf"(?<!`){ticks.group()}(?!`)").search(line, at)
        if end:
            yield False, line[plain : ticks.start()]
            yield True, line[ticks.start() : end.end()]
            plain = at = end.end()
    yield False, line[plain:]
