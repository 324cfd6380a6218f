"""Which errors a function raises itself, and when, as far as it is written there."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from cia.chunking import Chunk
from cia.code_facts.english import listed

LONGEST_CONDITION = 60
"""Characters; a longer condition is code to read, not part of a sentence."""

_THROWN = re.compile(r"\bthrow\s+(?:new\s+)?([A-Z][\w.:]*)\s*\(")

Raised = tuple[str, str]
"""An error's name and when it is raised, as words, "" when that is not plain."""


def raised_by(chunk: Chunk) -> dict[str, list[str]]:
    """Return the errors that the function ``chunk`` raises by name, each with the conditions of its places, in their order."""
    found = _in_python(chunk) if chunk.language == "python" else [(name, "") for name in _THROWN.findall(chunk.text)]
    conditions: dict[str, list[str]] = {}
    for name, condition in found:
        conditions.setdefault(name, []).append(condition)
    return conditions


def in_words(conditions: dict[str, list[str]]) -> str:
    """Return what ``raised_by`` found as the end of a sentence: each error, with its condition where there is only one."""
    return listed([f"`{name}`" + (f" {found[0]}" if len(found) == 1 and found[0] else "") for name, found in conditions.items()])


def _in_python(chunk: Chunk) -> list[Raised]:
    try:
        tree = ast.parse(textwrap.dedent(chunk.text))
    except (SyntaxError, ValueError):
        return []
    function = tree.body[0] if len(tree.body) == 1 else None
    return list(_raised(function.body, "")) if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) else []


def _raised(statements: list[ast.stmt], when: str) -> Iterator[Raised]:
    """Yield what ``statements`` raise by name; ``when`` is the condition under which they run."""
    for statement in statements:
        if isinstance(statement, ast.Raise):
            error = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
            name = ast.unparse(error) if isinstance(error, ast.Name | ast.Attribute) else ""
            if name.rpartition(".")[2][:1].isupper():  # a variable that is raised again tells nothing
                yield name, when
        elif isinstance(statement, ast.If):
            yield from _raised(statement.body, _words("if", statement.test))
            yield from _raised(statement.orelse, "")
        elif isinstance(statement, ast.Try | ast.TryStar):
            for handler in statement.handlers:
                yield from _raised(handler.body, _words("when it catches", handler.type))
            for block in (statement.body, statement.orelse, statement.finalbody):
                yield from _raised(block, "")
        elif isinstance(statement, ast.Match):
            for case in statement.cases:
                yield from _raised(case.body, "")
        elif isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith):
            yield from _raised(statement.body, "")
            yield from _raised(getattr(statement, "orelse", []), "")


def _words(conjunction: str, condition: ast.expr | None) -> str:
    written = ast.unparse(condition) if condition is not None else ""
    return f"{conjunction} `{written}`" if 0 < len(written) <= LONGEST_CONDITION and "`" not in written else ""
