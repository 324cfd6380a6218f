"""Deals the lines of a file out to chunks, given its definitions. ``cia.chunking`` says by which rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cia.chunking.definitions import Definition
from cia.chunking.lines import trimmed, windows
from cia.settings import ChunkingSettings

if TYPE_CHECKING:
    from tree_sitter import Node

GROUP_LINES = 40
"""Statements outside definitions are gathered up to this many lines."""
LONE_STATEMENT_LINES = 8
"""A statement outside definitions with at least this many lines stands alone."""

_CLOSING = re.compile(
    r"\s*(?:[\])};,.]+|#\s*endif\b|(?:end|endif|fi|done|esac)\b|(?:public|private|protected)\s*:?(?!\S))[\s\])};,.]*"
    r"(?:(?://|#|--|/\*).*)?",
    re.IGNORECASE,
)
_FRAMING = re.compile(r"[\W_]*|<\?php\s*|\s*(?:inline\s+)?namespace\b[\w:\s]*\{?\s*|\s*#\s*(?:ifdef|ifndef|if|else|elif)\b.*")
_IMPORTS = frozenset(
    {"preproc_include", "using_directive", "using_declaration", "use_declaration", "namespace_use_declaration"}
    | {"package_clause", "package_declaration", "package_header", "extern_crate_declaration"}
    | {"namespace_definition", "file_scoped_namespace_declaration", "php_tag"}
)


@dataclass(slots=True)
class Span:
    """Rows of one chunk, counted from 0, last included. ``opens``: it has the header of its definition.

    ``statement`` is the one statement of module code that has no other. ``whole``: the rows are exactly the definition.
    """

    first: int
    last: int
    definition: Definition
    opens: bool = True
    whole: bool = False
    statement: Node | None = None


def lay_out(module: Definition, lines: Sequence[str], settings: ChunkingSettings) -> list[Span]:
    """Return the spans of a file by their first row, an outer one before an inner; every line with a word is in one."""
    spans: list[Span] = []
    pending = [module]
    while pending:
        definition = pending.pop()
        if definition is not module and _fits(definition, settings):
            spans.append(Span(definition.first, definition.last, definition, whole=True))
            if definition.kind == "function":
                continue
        else:
            for first, last in _between_members(definition, lines):
                if definition is module:
                    spans.extend(_module_spans(module, first, last, lines, settings.max_lines))
                else:
                    for start, end in cut(definition.node, first, last, lines, settings.max_lines):
                        spans.append(Span(start, end, definition, opens=start == definition.first))
        pending.extend(definition.members)
    spans.sort(key=lambda span: (span.first, -span.last))
    spans = _without_crumbs(spans, lines)
    _take_blank_lines(spans, len(lines))
    return spans


def _fits(definition: Definition, settings: ChunkingSettings) -> bool:
    rows = definition.last - definition.first + 1
    is_outlined = definition.kind != "function" and definition.members
    return rows <= (settings.class_outline_lines if is_outlined else settings.max_lines)


def _between_members(definition: Definition, lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the runs of rows outside the members, without the blank lines at their ends."""
    row = definition.first
    for member in definition.members:
        first, last = trimmed(lines, row, member.first - 1)
        if first <= last:
            yield first, last
        row = max(row, member.last + 1)
    first, last = trimmed(lines, row, definition.last)
    if first <= last:
        yield first, last


def _module_spans(module: Definition, first: int, last: int, lines: Sequence[str], longest: int) -> Iterator[Span]:
    """Cut a run of statements into imports, long statements, and groups of the others."""
    groups = _grouped(_statements_within(module, first, last))
    for index, group in enumerate(groups):
        start = first if index == 0 else group[0][0]
        end = groups[index + 1][0][0] - 1 if index + 1 < len(groups) else last
        code = [node for _, _, node in group if "comment" not in node.type]
        alone = code[0] if len(code) == 1 else None
        for begin, stop in cut(alone or module.node, *trimmed(lines, start, end), lines, longest):
            yield Span(begin, stop, module, opens=begin == first and not any(map(str.strip, lines[:begin])), statement=alone)
    if not groups:
        for begin, stop in cut(module.node, first, last, lines, longest):
            yield Span(begin, stop, module, opens=False)


def _statements_within(module: Definition, first: int, last: int) -> Iterator[tuple[int, int, Node]]:
    """Yield the outermost statements that lie in the rows, each beginning on a line of its own."""
    below = first
    for statement in module.statements:
        if statement[0] >= below and statement[1] <= last:
            yield statement
            below = statement[1] + 1


def _grouped(statements: Iterator[tuple[int, int, Node]]) -> list[list[tuple[int, int, Node]]]:
    groups: list[list[tuple[int, int, Node]]] = []
    comments: list[tuple[int, int, Node]] = []
    before = ""
    for statement in statements:
        first, last, node = statement
        if "comment" in node.type:
            comments.append(statement)
            continue
        nature = "import" if "import" in node.type or node.type in _IMPORTS else "other"
        if last - first + 1 >= LONE_STATEMENT_LINES and nature != "import":
            nature = "alone"
        begins = not groups or nature != before or nature == "alone" or last - groups[-1][0][0] >= GROUP_LINES
        if begins:
            groups.append([])
        groups[-1] += [*comments, statement]
        comments, before = [], nature
    if comments:
        groups = [*groups[:-1], groups[-1] + comments] if groups else [comments]
    return groups


def cut(node: Node, first: int, last: int, lines: Sequence[str], longest: int) -> Iterator[tuple[int, int]]:
    """Yield parts of at most ``longest`` rows that cover a run of code, cut before the outermost statements they can."""
    if last - first < longest:
        if first <= last:
            yield first, last
        return
    depths = _line_starts(node, first, last, lines)
    while last - first >= longest:
        candidates = [(depths[row], -row) for row in range(first + longest // 2, first + longest + 1) if row in depths]
        row = -min(candidates)[1] if candidates else first + longest
        yield from windows(lines, first, row - 1, longest)
        first = row
    yield from windows(lines, first, last, longest)


def _line_starts(node: Node, first: int, last: int, lines: Sequence[str]) -> dict[int, int]:
    """Return the rows on which a node is the first thing, with the depth of the outermost such node."""
    depths: dict[int, int] = {}
    cursor = node.walk()
    depth = 0
    while (current := cursor.node) is not None:
        row, column = current.start_point
        end = current.end_point[0]
        if first < row <= last and current.is_named and not lines[row][:column].strip():
            depths.setdefault(row, depth)
        if end > row and end >= first and row <= last and cursor.goto_first_child():
            depth += 1
            continue
        while depth and not cursor.goto_next_sibling():
            cursor.goto_parent()
            depth -= 1
        if not depth:
            break
    return depths


def _without_crumbs(spans: list[Span], lines: Sequence[str]) -> list[Span]:
    """Give rows that only close (``}``, ``end``, ``private:``) or frame (``#ifdef``) something to the chunk before or after."""
    kept: list[Span] = []
    lowest: Span | None = None
    leading: Span | None = None
    for span in spans:
        frames, closes = (False, False) if span.whole else _is_crumb(span, lines)
        if lowest is not None and (closes or (frames and not lowest.whole)):
            lowest.last = max(lowest.last, span.last)
        elif (closes or frames) and lowest is None:
            leading = leading or span
        else:
            if leading is not None and not span.whole:
                span.first, leading = leading.first, None
            kept.append(span)
            if lowest is None or span.last >= lowest.last:
                lowest = span
    # A chunk that took over the rows at the top may come after one that stands within it.
    return sorted([leading, *kept] if leading is not None else kept, key=lambda span: span.first)


def _is_crumb(span: Span, lines: Sequence[str]) -> tuple[bool, bool]:
    """Whether every row says nothing but how code is framed, and whether every row closes something."""
    rows = lines[span.first : span.last + 1]
    closes = all(_CLOSING.fullmatch(row) or not row.strip() for row in rows)
    return all(_FRAMING.fullmatch(row) for row in rows), closes


def _take_blank_lines(spans: list[Span], count: int) -> None:
    """Give blank lines to the span above them, unless that would change the lines of a definition."""
    lowest: Span | None = None
    for span in spans:
        if lowest is None:
            span.first = span.first if span.definition.symbol else 0
        elif lowest.last + 1 < span.first and not lowest.whole:
            lowest.last = span.first - 1
        if lowest is None or span.last >= lowest.last:
            lowest = span
    if lowest is not None and not lowest.whole:
        lowest.last = max(lowest.last, count - 1)
