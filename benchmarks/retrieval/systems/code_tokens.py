"""Words of code for the lexical peers: whole identifiers and their parts, lower case."""

from __future__ import annotations

import re

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def code_tokens(text: str) -> list[str]:
    """Return each identifier of ``text``, followed by its camelCase and snake_case parts when it has several."""
    tokens = []
    for identifier in IDENTIFIER.findall(text):
        whole = identifier.lower()
        tokens.append(whole)
        parts = [part.lower() for part in PART.findall(identifier)]
        if len(parts) > 1:
            tokens += parts
    return tokens
