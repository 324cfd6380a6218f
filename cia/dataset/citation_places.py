"""Citations as they stand in a text: ``[repo/path:start-end]``."""

from __future__ import annotations

import re

PLACE = re.compile(r"\[[^\[\]\s]+:\d+-\d+\]")


def without_places(text: str) -> str:
    """Return ``text`` without its citations."""
    return PLACE.sub("", text)
