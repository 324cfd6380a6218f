"""What the vectors are learnt from: a sentence, and the code that it is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """A definition, and what somebody said of it, in one or several lengths.

    ``code`` is without the words that are asked for; ``signature`` is the head of the definition. Pairs of one ``repo`` are
    each other's hardest negatives.
    """

    repo: str
    path: str
    scope: str
    name: str
    signature: str
    code: str
    sentences: tuple[str, ...]
