"""Questions about what can be set: defaults, constants, and variables of the environment."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator

from cia.chunking import Chunk
from cia.code_facts.english import listed
from cia.code_facts.values import constants_in, defaults_in, variables_in
from cia.dataset.draft import Draft
from cia.dataset.from_code.definitions import CodeBase, name_of

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
MOST_READERS = 3


def configuration(code: CodeBase, random_: random.Random) -> list[Draft]:
    """Return one question for each function and class with defaults, each constant and each variable, in a random order."""
    made = [*_defaults(code, random_), *_constants(code, random_), *_variables(code, random_)]
    random_.shuffle(made)
    return made


def _defaults(code: CodeBase, random_: random.Random) -> Iterator[Draft]:
    for symbol, chunk in sorted(code.definitions.items()):
        found = list(defaults_in(chunk))
        if found:
            name, value = random_.choice(found)
            question = random_.choice(DEFAULT).format(name=name, symbol=symbol)
            answer = f"`{name}` of `{symbol}` is `{value}` by default. {code.place(chunk)}"
            yield Draft("configuration", question, answer, symbol, (chunk,), f"{symbol} {name} {value}")


def _constants(code: CodeBase, random_: random.Random) -> Iterator[Draft]:
    set_in: defaultdict[str, list[tuple[Chunk, str]]] = defaultdict(list)
    for chunk in code.code:
        for name, value in constants_in(chunk):
            set_in[name].append((chunk, value))
    for name, found in sorted(set_in.items()):
        if len(found) == 1:
            chunk, value = found[0]
            question = random_.choice(CONSTANT).format(name=name)
            answer = f"`{name}` is set to `{value}` in `{chunk.file_path}`. {code.place(chunk)}"
            yield Draft("configuration", question, answer, name, (chunk,), f"{name} {value}")


def _variables(code: CodeBase, random_: random.Random) -> Iterator[Draft]:
    read_in: defaultdict[str, dict[tuple[str, int], Chunk]] = defaultdict(dict)
    for chunk in code.code:
        for name in variables_in(chunk) if chunk.kind != "class" else ():
            read_in[name].setdefault((chunk.file_path, chunk.line_start), chunk)
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
