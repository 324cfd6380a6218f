"""Deals the lines of a file out to chunks, given its definitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cia.chunking.definitions import Definition
from cia.chunking.lines import windows
from cia.settings import ChunkingSettings

if TYPE_CHECKING:
    from tree_sitter import Node

GROUP_LINES = 40
"""Statements outside definitions are gathered up to this many lines."""
LONE_STATEMENT_LINES = 8
"""A statement outside definitions with at least this many lines stands alone."""

_CLOSING = re.compile(r"[\W_]*(?:end|endif|fi|done|esac)?[\W_]*(?://.*|#.*)?")
_IMPORTS = frozenset(
    {"preproc_include", "using_directive", "using_declaration", "use_declaration", "namespace_use_declaration"}
    | {"package_clause", "package_declaration", "package_header", "extern_crate_declaration"}
)


@dataclass(slots=True)
class Span:
    """Rows of one chunk, counted from 0, last included. ``opens`` is true of the part that has the header."""

    first: int
    last: int
    definition: Definition
    opens: bool = True
    statement: Node | None = None


def lay_out(module: Definition, lines: Sequence[str], settings: ChunkingSettings) -> list[Span]:
    """Return the spans of a file in order of their first row; together they hold every line with a word on it."""
    spans: list[Span] = []
    pending = [module]
    while pending:
        definition = pending.pop()
        rows = definition.last - definition.first + 1
        is_module = definition.scope == definition.symbol == "" and definition is module
        longest = settings.max_lines if definition.kind == "function" else settings.class_outline_lines
        if not is_module and (rows <= longest or (not definition.members and rows <= settings.max_lines)):
            spans.append(Span(definition.first, definition.last, definition))
            if definition.kind != "function":
                pending.extend(definition.members)
            continue
        for first, last in _between_members(definition, lines):
            if is_module:
                spans.extend(_module_spans(definition, first, last, lines, settings))
            else:
                for start, end in cut(definition.node, first, last, lines, settings.max_lines):
                    spans.append(Span(start, end, definition, opens=start == definition.first))
        pending.extend(definition.members)
    spans.sort(key=lambda span: (span.first, -span.last))
    return _without_crumbs(spans, lines)


def _between_members(definition: Definition, lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the runs of rows outside the members, without the blank lines at their ends."""
    row = definition.first
    for first, last in [*((member.first, member.last) for member in definition.members), (definition.last + 1, -1)]:
        end = min(first, definition.last + 1) - 1
        start = row
        row = max(row, last + 1)
        while start <= end and not lines[start].strip():
            start += 1
        while start <= end and not lines[end].strip():
            end -= 1
        if start <= end:
            yield start, end


def _module_spans(module: Definition, first: int, last: int, lines: Sequence[str], settings: ChunkingSettings) -> Iterator[Span]:
    """Gather the statements of a run: imports apart from the rest, long statements alone, the others in groups."""
    groups: list[list[tuple[int, int, Node]]] = []
    was_import = was_long = False
    comments: list[tuple[int, int, Node]] = []
    for statement in module.statements:
        start, end, node = statement
        if end < first or start > last:
            continue
        if "comment" in node.type:
            comments.append(statement)
            continue
        is_import = "import" in node.type or node.type in _IMPORTS
        is_long = end - start + 1 >= LONE_STATEMENT_LINES
        group = groups[-1] if groups else None
        begins = start if not comments else comments[0][0]
        if (
            group is None
            or is_import != was_import
            or is_long
            or was_long
            or (end - group[0][0] >= GROUP_LINES and not is_import)
        ):
            groups.append([*comments, statement])
        else:
            group.extend([*comments, statement])
        del begins
        comments = []
        was_import, was_long = is_import, is_long
    if not groups:
        groups = [comments or [(first, last, module.node)]]
    starts = [max(first, group[0][0]) for group in groups]
    starts[0] = first
    for index, group in enumerate(groups):
        end = starts[index + 1] - 1 if index + 1 < len(groups) else last
        while end >= starts[index] and not lines[end].strip():
            end -= 1
        code = [node for _, _, node in group if "comment" not in node.type]
        statement_node = code[0] if len(code) == 1 else None
        node = statement_node or module.node
        for start, stop in cut(node, starts[index], end, lines, settings.max_lines):
            yield Span(start, stop, module, opens=start == 0 or start == first == module.first, statement=statement_node)


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
    """Return rows on which a node begins as the first thing, with the depth of the outermost such node."""
    depths: dict[int, int] = {}
    cursor = node.walk()
    depth = 0
    while True:
        current = cursor.node
        assert current is not None
        row, column = current.start_point
        if first < row <= last and row not in depths and current.is_named and not lines[row][: max(column, 0)].strip():
            depths[row] = depth
        overlaps = current.end_point[0] > row and current.end_point[0] >= first and row <= last
        if overlaps and cursor.goto_first_child():
            depth += 1
            continue
        while not cursor.goto_next_sibling():
            if depth == 0 or not cursor.goto_parent():
                return depths
            depth -= 1


def _without_crumbs(spans: list[Span], lines: Sequence[str]) -> list[Span]:
    """Join runs that only close something (``}``, ``end``, ``#endif``) to the chunk before them, or else after."""
    kept: list[Span] = []
    for index, span in enumerate(spans):
        crumb = all(_CLOSING.fullmatch(lines[row]) for row in range(span.first, span.last + 1))
        if not crumb or (span.definition.members == [] and span.definition.kind != "module" and span.opens):
            kept.append(span)
        elif kept:
            before = max(reversed(kept), key=lambda other: other.last)
            before.last = max(before.last, span.last)
        elif index + 1 < len(spans):
            spans[index + 1].first = min(span.first, spans[index + 1].first)
        else:
            kept.append(span)
    return kept
