"""A file to its chunks."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from cia.chunking.chunk import Chunk, Kind
from cia.chunking.definitions import Definition, DefinitionFinder
from cia.chunking.detection import language_of
from cia.chunking.documentation import from_comment, from_string
from cia.chunking.languages import GRAMMARS, Grammar
from cia.chunking.layout import Span, lay_out
from cia.chunking.lines import windows
from cia.chunking.parsing import parse, query
from cia.corpus.text import decode, split_lines
from cia.settings import ChunkingSettings

SIGNATURE_CHARS = 400
"""A longer header is cut; what follows is defaults and annotations."""

_DOTTED = re.compile(r"[\w$!?@#]+(?:(?:\.|::|->|\?\.|\\)[\w$!?@#]+)*")
_LAST_NAME = re.compile(r"([\w$!?@#]+)\W*$")
_ASSIGNED = re.compile(
    r"(?:(?:export|default|const|let|var|static|final|public|private|protected|internal|pub(?:\([^)]*\))?|local|readonly|declare"
    r"|mut|val|constexpr|inline|#define)\s+)*(?:[\w:<>,.\[\]*&]+\s+)??\$?([A-Za-z_$][\w$]*)\s*(?::[^=]*)?(?:=(?!=)|\s+\S)"
)
_PARENT = re.compile(r"(?<![\w.])[A-Za-z_$][\w$]*(?:(?:\.|::|\\)[\w$]+)*(?!\s*=[^=])")
_NOT_A_PARENT = frozenset("extends implements with public private protected virtual for where class struct new".split())
_BRACKETS = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\([^()]*\)")


def chunk_file(path: str, data: bytes, settings: ChunkingSettings) -> list[Chunk]:
    """Return the chunks of a file in order of their first line; every line with a word on it is in at least one.

    ``path`` is relative to the repository and only names the file and its language. Never raises on content: what no
    grammar can read is cut by lines. An empty or blank file gives no chunks.
    """
    text = decode(data)
    lines = split_lines(text)
    language = language_of(path, data)
    grammar = GRAMMARS.get(language)
    if grammar is not None:
        chunks = _parsed(path, text, lines, language, grammar, settings)
        if chunks is not None:
            return chunks
    return [
        Chunk(path, first + 1, last + 1, language, "text", "", "\n".join(lines[first : last + 1]))
        for first, last in windows(lines, 0, len(lines) - 1)
    ]


def _parsed(
    path: str, text: str, lines: list[str], language: str, grammar: Grammar, settings: ChunkingSettings
) -> list[Chunk] | None:
    source = text.encode("utf-8", "replace")
    name = "tsx" if path.lower().endswith("x") and language == "typescript" else grammar.name
    tree = parse(name, source)
    if tree is None:
        return None
    module = DefinitionFinder(grammar, source, settings.max_lines).find(tree.root_node)
    module.last = len(lines) - 1
    calls = _Calls(name, grammar, tree, source)
    chunks = []
    for span in lay_out(module, lines, settings):
        definition = span.definition
        is_file = definition is module
        kind: Kind = definition.kind
        chunks.append(
            Chunk(
                file_path=path,
                line_start=span.first + 1,
                line_end=span.last + 1,
                language=language,
                kind=kind,
                symbol=_assigned(span, lines) if is_file else definition.symbol,
                text="\n".join(lines[span.first : span.last + 1]),
                scope=definition.scope,
                signature=_signature(definition, source) if span.opens and not is_file else "",
                docstring=_docstring(definition, grammar, source) if span.opens else "",
                calls=calls.between(span.first, span.last + 1),
                parents=_parents(definition, grammar, source) if span.opens and kind == "class" else (),
            )
        )
    return chunks


class _Calls:
    """The called names of a file, looked up by rows."""

    def __init__(self, name: str, grammar: Grammar, tree: object, source: bytes) -> None:
        from tree_sitter import QueryCursor

        nodes = QueryCursor(query(name, grammar.calls)).captures(tree.root_node).get("callee", [])  # type: ignore[attr-defined]
        found = sorted((node.start_byte, node.end_byte) for node in nodes)
        self._starts = [start for start, _ in found]
        self._names = [_called(source[start:end]) for start, end in found]
        self._offsets = [0, *accumulate(len(line) + 1 for line in source.split(b"\n"))]

    def between(self, first: int, stop: int) -> tuple[str, ...]:
        """Names called on rows ``first`` to ``stop`` - 1, each once, in order."""
        begin = bisect_left(self._starts, self._offsets[first])
        end = bisect_left(self._starts, self._offsets[min(stop, len(self._offsets) - 1)])
        return tuple(dict.fromkeys(name for name in self._names[begin:end] if name))


def _called(expression: bytes) -> str:
    """``self.client.get`` as written; of a call on the result of another (``f(x).get``) the last name."""
    if len(expression) > 200:
        expression = expression[-100:]
    text = expression.decode("utf-8", "replace")
    if _DOTTED.fullmatch(text):
        return text
    last = _LAST_NAME.search(text)
    return last[1] if last else ""


def _signature(definition: Definition, source: bytes) -> str:
    node = definition.node
    body = node.child_by_field_name("body")
    end = body.start_byte if body is not None else node.end_byte
    header = source[node.start_byte : min(end, node.start_byte + 4 * SIGNATURE_CHARS)].decode("utf-8", "ignore")
    if body is None:
        header = header.partition("{")[0] if "{" in header else header.partition("\n")[0]
    return " ".join(header.split())[:SIGNATURE_CHARS].rstrip(" {:=;").rstrip()


def _docstring(definition: Definition, grammar: Grammar, source: bytes) -> str:
    if grammar.docstrings:
        body = definition.node.child_by_field_name("body") or definition.node
        first = body.named_children[0] if body.named_child_count else None
        if first is not None and first.type == "expression_statement" and first.named_child_count == 1:
            first = first.named_children[0]
        if first is None or first.type not in ("string", "concatenated_string"):
            return ""
        return from_string(source[first.start_byte : first.end_byte].decode("utf-8", "replace"))
    start, end = definition.comment
    return from_comment(source[start:end].decode("utf-8", "replace")) if end else ""


def _parents(definition: Definition, grammar: Grammar, source: bytes) -> tuple[str, ...]:
    node = definition.node
    heritage = [child for child in node.named_children if child.type in grammar.heritage]
    for name in grammar.heritage:
        child = node.child_by_field_name(name)
        if child is not None and child not in heritage:
            heritage.append(child)
    names: list[str] = []
    for part in heritage:
        text = source[part.start_byte : part.end_byte].decode("utf-8", "replace")
        text = text[1:-1] if text.startswith("(") else text
        for _ in range(4):
            text = _BRACKETS.sub("", text)
        for piece in text.split(","):
            if "=" not in piece:
                names.extend(name for name in _PARENT.findall(piece) if name not in _NOT_A_PARENT)
    return tuple(dict.fromkeys(names))


def _assigned(span: Span, lines: Sequence[str]) -> str:
    """The name that a single assignment gives a value to; "" for any other module code."""
    node = span.statement
    if node is None or not (1 <= len(lines) > node.start_point[0]):
        return ""
    line = lines[node.start_point[0]][node.start_point[1] :]
    if "=" not in line and not line.startswith("#define"):
        return ""
    match = _ASSIGNED.match(line)
    return match[1] if match else ""
