"""How long work tells how far it is, without knowing who watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as often as convenient: ``stage`` in a word or two, ``done`` of ``total`` (0 when not known)."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""
