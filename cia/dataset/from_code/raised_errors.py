"""Questions about the errors that a function raises itself."""

from __future__ import annotations

import random

from cia.chunking import Chunk
from cia.code_facts.raised_errors import in_words, raised_by
from cia.dataset.draft import Draft
from cia.dataset.from_code.definitions import CodeBase, name_of

RAISES = (
    "Which errors does `{symbol}` raise?",
    "What does `{symbol}` raise?",
    "Which exceptions can `{symbol}` raise itself?",
    "How does `{symbol}` fail?",
    "When does `{symbol}` raise an error?",
)
MOST_ERRORS = 3
"""More errors make a list and not a sentence."""


def raised_errors(code: CodeBase, chunk: Chunk, random_: random.Random) -> Draft | None:
    """Return the question for a function that raises one to three errors by name, else None."""
    if chunk.kind != "function" or chunk.symbol in code.cut:  # what is raised further down is in another chunk
        return None
    conditions = raised_by(chunk)
    if not 1 <= len(conditions) <= MOST_ERRORS:
        return None
    said = in_words(conditions)
    question = random_.choice(RAISES).format(symbol=chunk.symbol)
    answer = f"`{chunk.symbol}` raises {said}. {code.place(chunk)}"
    return Draft("raises", question, answer, chunk.symbol, (chunk,), f"{name_of(chunk.symbol)} {said}")
