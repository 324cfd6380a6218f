"""A question, the places that answer it, and when a result is one of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["docstring", "history", "commit", "annotated", "external"]
"""``external`` are annotated questions from a folder given on the command line."""
Split = Literal["tune", "report"]

SCREEN_LINES = 60
"""A result up to this long is read at a glance; a longer one must be mostly the answer to count."""


@dataclass(frozen=True, slots=True)
class Place:
    """Lines of a file, 1-based and inclusive, or a whole file where ``start`` and ``end`` are None."""

    path: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a system, reduced to where it points."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Question:
    """``text`` is what is asked; every place in ``relevant`` answers it."""

    id: str
    text: str
    relevant: tuple[Place, ...]

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Question:
        """Return the question written by ``as_json``."""
        return cls(document["id"], document["text"], tuple(Place(**place) for place in document["relevant"]))

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions of one kind about one repository. ``tree`` is the folder that every system indexes."""

    kind: Kind
    repo: str
    split: Split
    tree: Path
    questions: tuple[Question, ...]


def is_hit(found: Found, place: Place) -> bool:
    """Tell whether ``found`` shows ``place``.

    A place without lines is hit by any result in its file. A place with lines is hit when at least half of the result lies
    inside it, or when at least half of it lies inside the result and the result is no longer than ``SCREEN_LINES`` or
    twice the place: handing back a whole file, or most of one, finds nothing.
    """
    if found.path != place.path:
        return False
    if place.start is None or place.end is None:
        return True
    shared = min(found.end, place.end) - max(found.start, place.start) + 1
    if shared <= 0:
        return False
    found_lines = found.end - found.start + 1
    place_lines = place.end - place.start + 1
    if 2 * shared >= found_lines:
        return True
    return 2 * shared >= place_lines and found_lines <= max(SCREEN_LINES, 2 * place_lines)
