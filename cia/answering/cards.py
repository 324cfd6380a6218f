"""The prompt of a small model: a card for each place that was found, then the question; the answer is a card's number.

A card says where the code is, what it is called, what it takes, what its documentation says, and of its lines only what the
question asks about. So five of them are about 300 tokens, and choosing one is one token.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from cia.answering.definition import definition_in
from cia.answering.docstring import first_sentence
from cia.chunking import Chunk
from cia.retrieval.result import SearchResult
from cia.retrieval.tokens import STOP_WORDS, terms

MOST_CALLS, MOST_RAISES = 4, 3
LONGEST_HEADER, LONGEST_SIGNATURE, LONGEST_SENTENCE, LONGEST_LINE = 200, 100, 160, 80
"""Characters of each line: nothing that a repository holds makes a card long."""

_RAISED = re.compile(r"(?m)^\s*raise (\w+(?:\.\w+)*)")


def cards_message(question: str, cards: Sequence[str]) -> str:
    """Return the user message: the cards, numbered from 1, and the question."""
    numbered = "".join(f"[{number}] {text}\n" for number, text in enumerate(cards, start=1))
    return f"{numbered}Question: {question}"


def card(result: SearchResult, question: str) -> str:
    """Return the card of ``result`` for ``question``."""
    return card_of(definition_in(result), frozenset(terms(question)) - STOP_WORDS)


def card_of(chunk: Chunk, asked: Collection[str], documented: bool = True) -> str:
    """Return the card of ``chunk`` for a question with the terms ``asked``; ``documented``: with its documentation."""
    kind = "method" if chunk.kind == "function" and "." in chunk.symbol else chunk.kind
    lines = [_cut(f"{kind} {chunk.symbol} {chunk.file_path}", LONGEST_HEADER)]
    if arguments := _arguments(chunk):
        lines.append(arguments)
    if documented and (sentence := first_sentence(chunk.docstring)):
        lines.append(_cut(sentence, LONGEST_SENTENCE))
    if calls := _asked_first(dict.fromkeys(chunk.calls), asked, MOST_CALLS):
        lines.append(_cut(f"calls {' '.join(calls)}", LONGEST_HEADER))
    if raises := _asked_first(dict.fromkeys(_RAISED.findall(chunk.text)), asked, MOST_RAISES):
        lines.append(_cut(f"raises {' '.join(raises)}", LONGEST_HEADER))
    if line := _line_asked_about(chunk, asked, "\n".join(lines)):
        lines.append(line)
    return "\n".join(lines)


def _arguments(chunk: Chunk) -> str:
    if chunk.kind == "class":
        return _cut(f"({', '.join(chunk.parents)})", LONGEST_SIGNATURE) if chunk.parents else ""
    _, bracket, rest = " ".join(chunk.signature.split()).partition("(")
    return _cut(bracket + rest, LONGEST_SIGNATURE)


def _asked_first(names: Collection[str], asked: Collection[str], most: int) -> list[str]:
    short = [".".join(name.split(".")[-2:]) for name in names if name.replace(".", "").isidentifier()]
    return sorted(short, key=lambda name: -len(set(terms(name)) & set(asked)))[:most]


def _line_asked_about(chunk: Chunk, asked: Collection[str], shown: str) -> str:
    """The line of code that holds most of what is asked and not yet shown."""
    wanted = set(asked) - set(terms(shown))
    if not wanted:
        return ""
    documentation = set(chunk.docstring.split("\n"))
    best, most = "", 0
    for line in chunk.text.split("\n")[1:]:
        line = line.strip()
        if line and line not in documentation and (found := len(wanted & set(terms(line)))) > most:
            best, most = line, found
    return _cut(best, LONGEST_LINE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0]
