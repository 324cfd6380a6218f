"""Which errors a function raises itself, and when, as far as it is written there."""

from __future__ import annotations

import ast
import random
import re
import textwrap
from collections.abc import Iterator

from cia.chunking import Chunk
from cia.dataset.draft import Draft
from cia.dataset.from_code.definitions import CodeBase, name_of
from cia.dataset.from_code.english import listed

RAISES = (
    "Which errors does `{symbol}` raise?",
    "What does `{symbol}` raise?",
    "Which exceptions can `{symbol}` raise itself?",
    "How does `{symbol}` fail?",
    "When does `{symbol}` raise an error?",
)
MOST_ERRORS = 3
LONGEST_CONDITION = 60
"""Characters. More errors, and longer conditions, make a list and not a sentence."""

_THROWN = re.compile(r"\bthrow\s+(?:new\s+)?([A-Z][\w.:]*)\s*\(")
Raised = tuple[str, str]
"""An error's name and when it is raised, as words, "" when that is not plain."""


def raised_errors(code: CodeBase, chunk: Chunk, random_: random.Random) -> Draft | None:
    """Return the question for a function that raises one to three errors by name, else None."""
    if chunk.kind != "function" or chunk.symbol in code.cut:  # what is raised further down is in another chunk
        return None
    raised = _in_python(chunk) if chunk.language == "python" else [(name, "") for name in _THROWN.findall(chunk.text)]
    conditions: dict[str, list[str]] = {}
    for name, condition in raised:
        conditions.setdefault(name, []).append(condition)
    if not 1 <= len(conditions) <= MOST_ERRORS:
        return None
    said = listed([f"`{name}`{_once(found)}" for name, found in conditions.items()])
    question = random_.choice(RAISES).format(symbol=chunk.symbol)
    answer = f"`{chunk.symbol}` raises {said}. {code.place(chunk)}"
    return Draft("raises", question, answer, chunk.symbol, (chunk,), f"{name_of(chunk.symbol)} {said}")


def _once(conditions: list[str]) -> str:
    return f" {conditions[0]}" if len(conditions) == 1 and conditions[0] else ""


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
            if name_of(name)[:1].isupper():  # a variable that is raised again tells nothing
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
