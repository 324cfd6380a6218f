"""On which side of the split a definition stands.

The side follows from the name of the outermost definition alone: a class and all of its members are on one side, and so is
whatever bears that name elsewhere (re-exported, copied into another repository, or its asynchronous twin). It does not
depend on what else is in the data set, so that no later version of it trains on what an earlier one kept for evaluation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from cia.dataset.pair import Split


def unit_of(symbol: str, file_path: str = "") -> str:
    """Return what is never divided: the outermost definition of ``symbol``, or the file where code stands outside of any."""
    outermost = symbol.partition(".")[0].lower().replace("_", "")
    return outermost.removeprefix("async") or outermost or file_path


def split_of(unit: str, evaluation_share: float) -> Split:
    """Return the side on which everything about ``unit`` is, whatever else is in the data set."""
    draw = int.from_bytes(hashlib.sha256(unit.encode()).digest()[:8]) / 2**64
    return "evaluation" if draw < evaluation_share else "train"


def common_side(units: Iterable[str], evaluation_share: float) -> Split | None:
    """Return the side of all ``units``, None when they are not on one."""
    sides = {split_of(unit, evaluation_share) for unit in units}
    return sides.pop() if len(sides) == 1 else None


def content_of(text: str, symbol: str) -> str:
    """Return 16 hex digits that a copy of ``text`` has too: layout and the definition's own name do not count.

    "" for a text of under sixty characters: many short ones are alike by chance.
    """
    name = symbol.rpartition(".")[2]
    bare = " ".join(re.sub(rf"\b{re.escape(name)}\b", "_", text).split()) if name else " ".join(text.split())
    return hashlib.sha256(bare.encode()).hexdigest()[:16] if len(bare) >= 60 else ""
