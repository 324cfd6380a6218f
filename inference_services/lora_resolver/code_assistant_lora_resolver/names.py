"""The names that a request may ask for: ``code-assistant:7``, and nothing that only looks like it."""

from __future__ import annotations

import re

from code_assistant_lora_resolver.errors import NoSuchAdapter

VERSION = re.compile("[1-9][0-9]{0,8}")
"""Written out: ``\\d`` takes the digits of every script, and nine of them stay below MLflow's 32-bit column."""

LONGEST_SHOWN = 80


def version_of(name: str, model: str) -> int | None:
    """Return the version that ``name`` asks of the registered model ``model``; None for a name that is not ours.

    Raises NoSuchAdapter when it begins like ours and has anything but a number after the colon.
    """
    prefix, colon, version = name.partition(":")
    if prefix != model or not colon:
        return None
    if not VERSION.fullmatch(version):
        raise NoSuchAdapter(f"{shown(name)} is no adapter; write {model}: and a version's number, such as {model}:3")
    return int(version)


def shown(name: str) -> str:
    """Return ``name`` as it may stand in a message or a log: quoted, in ASCII, and short."""
    text = ascii(name)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}... ({len(name)} characters)"
