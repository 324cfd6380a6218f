"""What can be set: defaults of parameters and of fields, constants, and variables of the environment."""

from __future__ import annotations

import ast
import random
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator

from cia.chunking import Chunk
from cia.dataset.draft import Draft
from cia.dataset.from_code.definitions import CodeBase, name_of
from cia.dataset.from_code.english import listed

DEFAULT = (
    "What is the default of `{name}` in `{symbol}`?",
    "Which value does `{name}` of `{symbol}` have by default?",
    "If I do not set `{name}` of `{symbol}`, what is used?",
    "What does `{symbol}` use when `{name}` is not given?",
)
CONSTANT = (
    "What is `{name}` set to?",
    "Which value does the constant `{name}` have?",
    "Where is `{name}` set, and to what?",
)
VARIABLE = (
    "Which code reads the environment variable `{name}`?",
    "Where is the environment variable `{name}` read?",
    "Who looks at `{name}` in the environment?",
)
LONGEST_VALUE = 60
"""Characters: a longer value is code to read, not an answer."""

MOST_READERS = 3

_VARIABLE = re.compile(
    r"(?:environ(?:\.get|\.pop|\.setdefault)?|getenv|Getenv|LookupEnv|process\.env|ENV(?:\.fetch)?|env::var)\s*"
    r"(?:[\[(]\s*[\"']([A-Z][A-Z0-9_]{2,})[\"']|\.([A-Z][A-Z0-9_]{2,})\b)"
)


def configuration(code: CodeBase, random_: random.Random) -> list[Draft]:
    """Return one question for each function and class with defaults, each constant and each variable, in a random order."""
    made = [*_defaults(code, random_), *_constants(code, random_), *_variables(code, random_)]
    random_.shuffle(made)
    return made


def _defaults(code: CodeBase, random_: random.Random) -> Iterator[Draft]:
    for symbol, chunk in sorted(code.definitions.items()):
        found = list(_defaults_in(chunk)) if chunk.language == "python" else []
        if found:
            name, value = random_.choice(found)
            question = random_.choice(DEFAULT).format(name=name, symbol=symbol)
            answer = f"`{name}` of `{symbol}` is `{value}` by default. {code.place(chunk)}"
            yield Draft("configuration", question, answer, symbol, (chunk,), f"{symbol} {name} {value}")


def _defaults_in(chunk: Chunk) -> Iterator[tuple[str, str]]:
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


def _constants(code: CodeBase, random_: random.Random) -> Iterator[Draft]:
    set_in: defaultdict[str, list[tuple[Chunk, str]]] = defaultdict(list)
    for chunk in code.code:
        if chunk.language == "python" and chunk.kind == "module":
            for statement in _parsed(chunk.text):
                for name, value in _constant(statement):
                    set_in[name].append((chunk, value))
    for name, found in sorted(set_in.items()):
        if len(found) == 1:
            chunk, value = found[0]
            question = random_.choice(CONSTANT).format(name=name)
            answer = f"`{name}` is set to `{value}` in `{chunk.file_path}`. {code.place(chunk)}"
            yield Draft("configuration", question, answer, name, (chunk,), f"{name} {value}")


def _constant(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return
    if isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z0-9_]{2,}", target.id):
        yield from _value(target.id, statement.value)


def _variables(code: CodeBase, random_: random.Random) -> Iterator[Draft]:
    read_in: defaultdict[str, dict[tuple[str, int], Chunk]] = defaultdict(dict)
    for chunk in code.code:
        for match in _VARIABLE.finditer(chunk.text) if chunk.kind != "class" else ():
            read_in[match[1] or match[2]].setdefault((chunk.file_path, chunk.line_start), chunk)
    for name, chunks in sorted(read_in.items()):
        readers = list(chunks.values())
        if len(readers) <= MOST_READERS:
            question = random_.choice(VARIABLE).format(name=name)
            said = listed([f"{_reader(chunk)} {code.place(chunk)}" for chunk in readers])
            answer = f"{said} read{'s' if len(readers) == 1 else ''} the environment variable `{name}`."
            content = f"{name} {' '.join(name_of(chunk.symbol) for chunk in readers)}"
            yield Draft("configuration", question, _capital(answer), name, tuple(readers), content)


def _reader(chunk: Chunk) -> str:
    return f"`{chunk.symbol}`" if chunk.kind == "function" and chunk.symbol else f"the code of `{chunk.file_path}`"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _value(name: str, value: ast.expr | None) -> Iterator[tuple[str, str]]:
    written = ast.unparse(value) if value is not None else ""
    if 0 < len(written) <= LONGEST_VALUE and "`" not in written and "\n" not in written:
        yield name, written


def _parsed(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError):
        return []
