"""What a piece of code sets: defaults of parameters and of fields, constants, and variables of the environment."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from cia.chunking import Chunk

LONGEST_VALUE = 60
"""Characters: a longer value is code to read, not an answer."""

_VARIABLE = re.compile(
    r"(?:environ(?:\.get|\.pop|\.setdefault)?|getenv|Getenv|LookupEnv|process\.env|ENV(?:\.fetch)?|env::var)\s*"
    r"(?:[\[(]\s*[\"']([A-Z][A-Z0-9_]{2,})[\"']|\.([A-Z][A-Z0-9_]{2,})\b)"
)


def defaults_in(chunk: Chunk) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a Python function, or the fields of a class, that have a default, each with it as written."""
    if chunk.language != "python":
        return
    source = f"{chunk.signature}: ..." if chunk.kind == "function" else textwrap.dedent(chunk.text)
    definition = _parsed(source)[:1]
    for node in definition:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            plain = [*arguments.posonlyargs, *arguments.args]
            with_default = plain[len(plain) - len(arguments.defaults) :]
            pairs = [
                *zip(with_default, arguments.defaults, strict=True),
                *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
            ]
            for argument, default in pairs:
                yield from _value(argument.arg, default)
        elif isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield from _value(field.target.id, field.value)


def constants_in(chunk: Chunk) -> Iterator[tuple[str, str]]:
    """Yield the constants that Python code outside of definitions sets, each with its value as written."""
    if chunk.language == "python" and chunk.kind == "module":
        for statement in _parsed(chunk.text):
            yield from _constant(statement)


def variables_in(chunk: Chunk) -> list[str]:
    """Return the variables of the environment that ``chunk`` reads, in the order of their places."""
    return list(dict.fromkeys(match[1] or match[2] for match in _VARIABLE.finditer(chunk.text)))


def _constant(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return
    if isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z0-9_]{2,}", target.id):
        yield from _value(target.id, statement.value)


def _value(name: str, value: ast.expr | None) -> Iterator[tuple[str, str]]:
    written = ast.unparse(value) if value is not None else ""
    if 0 < len(written) <= LONGEST_VALUE and "`" not in written and "\n" not in written:
        yield name, written


def _parsed(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError):
        return []
