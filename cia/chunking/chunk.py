"""The unit that is indexed, found and cited."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["function", "class", "module", "section", "text"]
"""``function`` also covers methods; ``module`` is code outside definitions; ``section`` what stands under a heading or key;
``text`` the rest."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A definition, section or run of lines of one file. Lines are 1-based, inclusive, counted as in ``cia.corpus.text``.

    ``symbol`` is the qualified name without the module (``QueryParams.add``), a heading path, a key, or "".
    ``text`` is exactly the lines ``line_start`` to ``line_end`` joined with line feeds.
    ``scope`` is the enclosing class or namespace; ``signature`` the header of the definition; ``docstring`` its
    documentation; ``calls`` the names it calls and ``parents`` its base classes, as written.
    """

    file_path: str
    line_start: int
    line_end: int
    language: str
    kind: Kind
    symbol: str
    text: str
    scope: str = ""
    signature: str = ""
    docstring: str = ""
    calls: tuple[str, ...] = field(default=())
    parents: tuple[str, ...] = field(default=())

    @property
    def content_hash(self) -> str:
        """SHA-256 over what the vectors are made of: path, symbol and text."""
        return hashlib.sha256("\0".join((self.file_path, self.symbol, self.text)).encode()).hexdigest()
