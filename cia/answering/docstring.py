"""The one sentence of a docstring that says what the thing is for, as plain English."""

from __future__ import annotations

import re

LONGEST_SENTENCE = 240
"""Characters; what runs on longer is a list or a table without its line breaks."""

_SENTENCE_END = re.compile(r"(?<=[.!?])(?:[\"')\]]*)(?=\s+[A-Z`\"'(]|\s*$)")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|incl|[A-Z])|\.\.)\.$", re.IGNORECASE)
# The first line of a field list, a doctest, a table, a heading's rule, or a directive ends the prose.
_NOT_PROSE = re.compile(
    r"\s*(?::\w+[^:`]*:(?!`)|>>>|\.\. |[-=~^*#+|]{3,}|@\w+"
    r"|(?:Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?|Usage):?\s*$)"
)


def first_sentence(docstring: str) -> str:
    """Return the first sentence of ``docstring`` without its markup, ending in a full stop; "" when it has no prose."""
    paragraph: list[str] = []
    for line in docstring.strip().split("\n"):
        line = _without_comment_mark(line)
        if _NOT_PROSE.match(line) or (not line and paragraph):
            break
        if line:
            paragraph.append(line)
    sentence = _first(_plain(" ".join(paragraph)))
    words = re.findall(r"[A-Za-z]{2,}", sentence)
    if len(words) < 2 or len(sentence) > LONGEST_SENTENCE or sentence.endswith(("...", "…")):
        return ""
    return sentence if sentence[-1] in ".!?" else f"{sentence.rstrip(' :;,')}."


def _without_comment_mark(line: str) -> str:
    return re.sub(r"^\s*(?:/\*\*?|\*/|\*(?!\*)|///?!?|//!|#+|--)?\s?", "", line).removesuffix("*/").strip()


def _first(text: str) -> str:
    for end in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text[: end.start()]):
            return text[: end.end()].strip()
    return text.strip()


def _plain(text: str) -> str:
    text = re.sub(r":(?:\w+:)*\w+:`~?([^`<]*?)(?:\s*<[^`>]*>)?`", r"`\1`", text)  # a reStructuredText role
    text = re.sub(r"`([^`<]+?)\s*<[^`>]+>`__?", r"\1", text)  # and a link
    text = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", text)  # a Markdown link
    text = re.sub(r"\[([^\[\]]*)\]\[[^\[\]]*\]", r"\1", text)
    text = re.sub(r"\{@?\w+\s+([^{}]*)\}", r"`\1`", text)  # a Javadoc tag
    text = re.sub(r"</?[a-zA-Z][^<>]{0,60}>", "", text)
    text = re.sub(r"`{2,}", "`", text)
    text = re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    return " ".join(text.split())
