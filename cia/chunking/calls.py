"""The names that a file calls, and where."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

LONGEST_CALLEE = 120
"""Bytes. Of a longer expression only the end is read for its last name."""

_DOTTED = re.compile(r"[\w$!?@#]+(?:(?:\.|::|->|\?\.|\\)[\w$!?@#]+)*")
_LAST_NAME = re.compile(r"[\w$!?@#]+$")


class Calls:
    """The called names of a file, looked up by rows.

    ``callees`` are the called expressions; ``rows`` holds the byte at which each row begins, and one past the last.
    """

    def __init__(self, callees: Iterable[Node], source: bytes, rows: Sequence[int]) -> None:
        spans = sorted([node.byte_range for node in callees])
        names: dict[bytes, str] = {}
        self._rows = rows
        self._starts: list[int] = []
        self._names: list[str] = []
        for start, end in spans:
            expression = source[max(start, end - LONGEST_CALLEE) : end]
            name = names.get(expression)
            if name is None:
                name = names[expression] = called_name(expression.decode("utf-8", "ignore"))
            if name:
                self._starts.append(start)
                self._names.append(name)

    def on_rows(self, first: int, last: int) -> tuple[str, ...]:
        """Return the names called on rows ``first`` to ``last``, each once, in order."""
        begin = bisect_left(self._starts, self._rows[first])
        end = bisect_left(self._starts, self._rows[last + 1], begin)
        return tuple(dict.fromkeys(self._names[begin:end])) if begin < end else ()


def called_name(expression: str) -> str:
    """Return ``self.client.get`` as written; of a call on another's result (``f(x).get``) the last name, "" if there is none."""
    if _DOTTED.fullmatch(expression):
        return expression
    last = _LAST_NAME.search(expression)
    return last[0] if last else ""
