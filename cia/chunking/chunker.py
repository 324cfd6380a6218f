"""A file to its chunks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from cia.chunking.calls import Calls
from cia.chunking.chunk import Chunk, Kind
from cia.chunking.definitions import Definition, find_definitions
from cia.chunking.describing import constant_in, docstring_of, parents_of, signature_of
from cia.chunking.detection import language_of
from cia.chunking.headings import sections
from cia.chunking.keys import KEYED, entries
from cia.chunking.languages import GRAMMARS, Grammar
from cia.chunking.layout import Span, lay_out
from cia.chunking.lines import windows
from cia.chunking.parsing import captured, parse
from cia.corpus.text import decode, split_lines
from cia.settings import ChunkingSettings

LONGEST_LINE = 20_000
"""Characters. A file with a longer line is generated or minified: little in it has lines of its own, so it is not parsed."""


def chunk_file(path: str, data: bytes, settings: ChunkingSettings) -> list[Chunk]:
    """Return the chunks of a file in order of their first line; every line with a word on it is in at least one.

    ``path`` is relative to the repository and only names the file and its language. Never raises on content: what no
    grammar can read is cut by lines. An empty or blank file gives no chunks.
    """
    lines = split_lines(decode(data))
    language = language_of(path, data)
    if not any(map(str.strip, lines)):
        return []
    grammar = GRAMMARS.get(language)
    chunks = _by_definitions(path, lines, grammar, settings) if grammar is not None else None
    if chunks is not None:
        return chunks
    if language in ("markdown", "rst"):
        return _passages(path, lines, language, [(part.first, part.last, part.path) for part in sections(language, lines)])
    if language in KEYED:
        return _passages(path, lines, language, [(part.first, part.last, part.path) for part in entries(language, lines)])
    return _passages(path, lines, language, [(*rows, None) for rows in windows(lines, 0, len(lines) - 1)])


def _passages(path: str, lines: Sequence[str], language: str, parts: Sequence[tuple[int, int, str | None]]) -> list[Chunk]:
    """Return a chunk a part; blank lines between two go to the one above. A part without a symbol (None) is plain text."""
    chunks = []
    for index, (first, _, symbol) in enumerate(parts):
        start = first if index else 0
        stop = parts[index + 1][0] if index + 1 < len(parts) else len(lines)
        text = "\n".join(lines[start:stop])
        kind: Kind = "text" if symbol is None else "section"
        chunks.append(Chunk(path, start + 1, stop, language, kind, symbol or "", text))
    return chunks


def _by_definitions(path: str, lines: list[str], grammar: Grammar, settings: ChunkingSettings) -> list[Chunk] | None:
    """Return the chunks of a source file, None if its syntax tree cannot be had."""
    source = "\n".join(lines).encode("utf-8", "replace")
    dialect = "tsx" if grammar.name == "typescript" and path.lower().endswith("x") else grammar.name
    lengths = [len(line) + 1 for line in lines]
    if max(lengths) > LONGEST_LINE:
        return None
    tree = parse(dialect, source)
    if tree is None:
        return None
    module = find_definitions(grammar, source, lines, tree.root_node, settings.max_lines)
    if not source.isascii():
        lengths = [len(line) + 1 for line in source.split(b"\n")]
    rows = [0, *accumulate(lengths)]
    calls = Calls(captured(dialect, grammar.calls, tree.root_node), source, rows) if grammar.calls else None
    spans = lay_out(module, lines, settings)
    return [_chunk(path, lines, span, module, grammar, source, calls) for span in spans]


def _chunk(
    path: str, lines: list[str], span: Span, module: Definition, grammar: Grammar, source: bytes, calls: Calls | None
) -> Chunk:
    definition = span.definition
    is_module = definition is module
    text = "\n".join(lines[span.first : span.last + 1])
    return Chunk(
        path,
        span.first + 1,
        span.last + 1,
        grammar.name,
        definition.kind,
        constant_in(span.statement, lines) if is_module else definition.symbol,
        text,
        definition.scope,
        signature_of(definition, source) if span.opens and not is_module else "",
        docstring_of(definition, grammar, source) if span.opens else "",
        calls.on_rows(span.first, span.last) if calls is not None else (),
        parents_of(definition, grammar, source) if span.opens and definition.kind == "class" else (),
    )
