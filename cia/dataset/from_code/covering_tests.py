"""Which tests there are of a definition, where the tests leave no doubt."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import PurePosixPath

from cia.chunking import Chunk
from cia.code_facts.english import listed
from cia.dataset.draft import Draft
from cia.dataset.from_code.definitions import CodeBase, name_of

TESTS = (
    "Which test covers `{symbol}`?",
    "Where is `{symbol}` tested?",
    "Which tests call `{symbol}`?",
    "Is there a test of `{symbol}`?",
    "How do I find the tests of `{symbol}`?",
)
MOST_TESTS = 3


def covering_tests(code: CodeBase, random_: random.Random) -> list[Draft]:
    """Return a question for each function and class outside of classes that one to three tests call, in a random order.

    Only where its name means nothing else, and every test that mentions it also calls it: then these are surely all.
    """
    mentions: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk in code.tests:
        for word in set(re.findall(r"\w+", chunk.text)):
            mentions[word].append(chunk)
    ambiguous = _names_with_more_meanings(code)
    made = []
    for symbol, chunk in sorted(code.definitions.items()):
        found = [test for test in mentions[symbol] if test.kind != "module"] if symbol not in ambiguous else []
        if 1 <= len(found) <= MOST_TESTS and all(_is_test_of(test, chunk) for test in found):
            made.append(_draft(code, chunk, found, random_))
    random_.shuffle(made)
    return made


def _draft(code: CodeBase, chunk: Chunk, tests: list[Chunk], random_: random.Random) -> Draft:
    question = random_.choice(TESTS).format(symbol=chunk.symbol)
    said = listed([f"`{test.symbol}` {code.place(test)}" for test in tests])
    answer = f"{said} test{'s' if len(tests) == 1 else ''} `{chunk.symbol}`."
    content = f"{chunk.symbol} {' '.join(name_of(test.symbol) for test in tests)}"
    return Draft("tests", question, answer, chunk.symbol, tuple(tests), content)


def _is_test_of(test: Chunk, chunk: Chunk) -> bool:
    if test.kind != "function" or not name_of(test.symbol).startswith("test"):
        return False
    packages = PurePosixPath(chunk.file_path).with_suffix("").parts
    return any(
        name_of(call) == chunk.symbol and (call == chunk.symbol or call.partition(".")[0] in packages) for call in test.calls
    )


def _names_with_more_meanings(code: CodeBase) -> set[str]:
    """Names that something else has too: a method, or a definition that a test file makes for itself."""
    counts: defaultdict[str, set[str]] = defaultdict(set)
    for chunk in code.code:
        if chunk.kind in ("function", "class") and chunk.symbol:
            counts[name_of(chunk.symbol)].add(chunk.symbol)
    own = {name_of(chunk.symbol) for chunk in code.tests if chunk.kind in ("function", "class")}
    return own | {name for name, symbols in counts.items() if len(symbols) > 1}
