"""What a model must not be quoted with: silence, noise, and a needle stuck in its groove."""

from __future__ import annotations

import re

# A piece with a letter in it that comes six times running. Small models fall into this when they are unsure.
_REPEATED = re.compile(r"(?P<piece>(?=[^A-Za-z]*[A-Za-z]).{2,80}?)(?P=piece){5,}", re.DOTALL)

FEWEST_DISTINCT_WORDS = 0.2
"""Share of distinct words below which a text of thirty words or more says nothing. Prose keeps above a half."""


def nonsense(text: str) -> str:
    """Return why ``text`` is no answer, in a few words, or "" when it may be one."""
    if not text.strip():
        return "the model gave an empty answer"
    words = re.findall(r"\w+", text.lower())
    if not any(character.isalpha() for character in text):
        return "the model gave an answer without words"
    repeated = _REPEATED.search(" ".join(text.split()))
    if repeated or (len(words) >= 30 and len(set(words)) / len(words) < FEWEST_DISTINCT_WORDS):
        return "the model repeated itself"
    return ""
