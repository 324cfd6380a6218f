"""Texts in quotes, and messages: whether code holds one, as written or with its values filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from cia.retrieval.question import Question

LEAST_SHARE = 0.5
"""Of a message that must be fixed text of the code; with less, the values say more than the text."""
LEAST_WORDS = 2
CHUNKS_REMEMBERED = 8192
MOST_MESSAGE = 400
"""Characters of a message; a longer text is something else."""

_BETWEEN_LITERALS = re.compile(r"""(["'])\s*(?:\+\s*|\\\s*)?[rRbBfFuU]{0,2}\1""")
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.){8,400})"|\'((?:[^\'\\\n]|\\.){8,400})\'|`((?:[^`\\]|\\.){8,400})`')
_VALUE = re.compile(r"\$?\{[^{}]*\}|%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]|\\[nrt]")
_RAISED = re.compile(r"^(?:[\w.]*(?:Error|Exception|Warning|Exit|Interrupt|panic|fatal|error|warning)\s*:\s*)+", re.IGNORECASE)
_FILLED_IN = re.compile(r"""'[^']*'|"[^"]*"|<[^>]*>|\([^)]*\)|\[[^]]*\]|\{[^}]*\}|\S*\d\S*|(?<!\w)--?\w\S*|[\w.-]*/\S*""")
_ASKING = re.compile(r"\?\s*$|^(?:how|where|what|which|why|who|when)\b", re.IGNORECASE)


def holds(text: str, quoted: str) -> bool:
    """Return whether ``text`` has ``quoted`` in it, apart from line breaks, escapes and the seams of adjoining literals."""
    if quoted in text:
        return True
    wanted = _plain(quoted)
    return any(wanted in reading for reading in _readings(text))


@lru_cache(maxsize=CHUNKS_REMEMBERED)
def _readings(text: str) -> tuple[str, str]:
    """``text`` as one line, and as one line with adjoining literals joined: the same chunks are read for many questions."""
    return _plain(text), _plain(_BETWEEN_LITERALS.sub("", text))


def quotes_most_of(question: Question) -> bool:
    """Return whether a question is mainly a text in quotes, and that text more than a name."""
    length = sum(len(quoted) for quoted in question.quoted)
    return 2 * length >= len(question.text) and any(re.search(r"\W", quoted) for quoted in question.quoted)


def fixed_parts(question: Question) -> list[str]:
    """Return for each message that the question is its longest run of words that do not look like filled-in values."""
    parts = [max(_FILLED_IN.split(message), key=len).strip(" .,:;") for message in messages(question)]
    return [part for part in parts if part.count(" ")]


def fills_in(text: str, asked: Iterable[str]) -> bool:
    """Return whether one of the messages ``asked`` is what a literal in ``text`` gives once its values are filled in.

    ``f"Invalid port: {port!r}"`` gives ``Invalid port: '99999'``. Half of the message must be the literal's own.
    """
    likely = [message for message in asked if _says_half(text, message)]
    if not likely:
        return False
    literals = [next(group for group in found if group) for found in _LITERAL.findall(_BETWEEN_LITERALS.sub("", text))]
    return any(_gives(literal, message) for literal in literals for message in likely)


def _says_half(text: str, message: str) -> bool:
    """Whether ``text`` has half of the longer words of ``message``: quick, and true wherever a literal gives it."""
    words = [word for word in message.split() if len(word) > 3 and word.isalpha()]
    return 2 * sum(word in text for word in words) >= len(words)


def messages(question: Question) -> Iterator[str]:
    """Return the messages that ``question`` consists of, without the name of the error before them; mostly none."""
    if quotes_most_of(question):
        yield from map(_plain, question.quoted)
    elif len(question.text) <= MOST_MESSAGE and not _ASKING.search(question.text) and _is_message(question.text):
        yield _plain(_RAISED.sub("", question.text))


def _is_message(text: str) -> bool:
    return bool(_RAISED.match(text) or _FILLED_IN.search(text))


def _gives(literal: str, message: str) -> bool:
    parts = [_plain(part) for part in _VALUE.split(literal)]
    parts = [part for part in parts if part.strip()]
    length = sum(map(len, parts))
    if length < LEAST_SHARE * len(message) or sum(len(re.findall(r"[^\W\d_]+", part)) for part in parts) < LEAST_WORDS:
        return False
    place = 0
    for part in parts:
        place = message.find(part.strip(), place)
        if place < 0:
            return False
        place += len(part.strip())
    return True


def _plain(text: str) -> str:
    return " ".join(text.replace("\\", "").split())
