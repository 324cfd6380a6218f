"""Source text to a syntax tree, with the grammars loaded one by one as files need them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Query, Tree

SECONDS = 1.0
SLOWEST_BYTES_PER_SECOND = 500_000
"""Together the CPU time a file may take. Recovery from errors can need time and memory that grow with the square of the
size: 12 kB of ``/*`` keep the Python grammar busy for 24 s with 5 GB. Real code is parsed at 3 to 10 MB/s."""
READ_BYTES = 65_536
WIDEST_ERROR = 5_000
"""Children. The time of a query grows with their square; this many take 20 ms."""

_of_thread = threading.local()


def parse(grammar: str, source: bytes) -> Tree | None:
    """Return the tree of ``source`` (UTF-8) under a tree-sitter grammar, or None if that takes too long."""
    parser = _parser(grammar)
    try:
        return parser.parse(lambda offset, _point: source[offset : offset + READ_BYTES], progress_callback=_limit(len(source)))
    except ValueError:
        parser.reset()
        return None


def captured(grammar: str, pattern: str, root: Node) -> list[Node]:
    """Return the nodes that a query captures, in no certain order; none in a tree that is shattered by errors."""
    from tree_sitter import QueryCursor

    if root.has_error and _is_shattered(root):
        return []
    found = QueryCursor(_query(grammar, pattern)).captures(root)
    return [node for nodes in found.values() for node in nodes]


def _is_shattered(root: Node) -> bool:
    """Whether an error has so many children that a query, which looks at all later siblings of each, would not end."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.child_count > WIDEST_ERROR and (node.is_error or node is root):
            return True
        pending.extend(child for child in node.children if child.has_error)
    return False


def _limit(size: int) -> Callable[[int, bool], bool]:
    """Return a callback that tells the parser to stop once the thread has spent a file's share of CPU time."""
    deadline = time.thread_time() + SECONDS + size / SLOWEST_BYTES_PER_SECOND
    return lambda _offset, _error: time.thread_time() > deadline


def _parser(grammar: str) -> Parser:
    parsers: dict[str, Parser] = _of_thread.__dict__.setdefault("parsers", {})
    if grammar not in parsers:
        from tree_sitter import Parser

        parsers[grammar] = Parser(_language(grammar))
    return parsers[grammar]


@lru_cache
def _language(grammar: str) -> Language:
    from tree_sitter_language_pack import get_language

    return get_language(grammar)  # type: ignore[arg-type]


@lru_cache
def _query(grammar: str, pattern: str) -> Query:
    from tree_sitter import Query

    return Query(_language(grammar), pattern)
