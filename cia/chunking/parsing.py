"""Source text to a syntax tree, with the grammars loaded one by one as files need them."""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Parser, Query, Tree

LONGEST_LINE = 20_000
"""Bytes. A file with a longer line is generated or minified: nothing in it has lines of its own, so it is not parsed."""
SECONDS_PER_FILE = 5.0
"""Error recovery can take time that grows with the square of the size; a file that takes longer is cut by lines."""

_of_thread = threading.local()


def parse(grammar: str, source: bytes) -> Tree | None:
    """Return the tree of ``source`` (UTF-8) under a tree-sitter grammar, or None if it is not worth or able to be parsed."""
    if max(map(len, source.split(b"\n")), default=0) > LONGEST_LINE:
        return None
    parser = _parser(grammar)
    if len(source) < 100_000:
        return parser.parse(source)
    deadline = time.monotonic() + SECONDS_PER_FILE
    view = memoryview(source)
    try:
        return parser.parse(
            lambda offset, _point: view[offset:], progress_callback=lambda _offset, _error: time.monotonic() < deadline
        )
    except ValueError:
        parser.reset()
        return None


def _parser(grammar: str) -> Parser:
    parsers: dict[str, Parser] = _of_thread.__dict__.setdefault("parsers", {})
    if grammar not in parsers:
        from tree_sitter import Parser

        parsers[grammar] = Parser(language(grammar))
    return parsers[grammar]


@lru_cache
def language(grammar: str) -> Language:
    """Return a grammar of the language pack, loaded once."""
    from tree_sitter_language_pack import get_language

    return get_language(grammar)  # type: ignore[arg-type]


@lru_cache
def query(grammar: str, pattern: str) -> Query:
    """Return a compiled query over a grammar."""
    from tree_sitter import Query

    return Query(language(grammar), pattern)
