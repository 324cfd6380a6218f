"""What a search returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A chunk that was found, with the repository and commit it is at. A higher ``score`` is better within one search."""

    repo: str
    commit: str
    file_path: str
    line_start: int
    line_end: int
    language: str
    symbol: str
    kind: str
    score: float
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return the fixed JSON shape of one result."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """The results of one query, best first, and what its asker should know (a working tree that has moved on)."""

    query: str
    results: tuple[SearchResult, ...]
    notices: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the fixed JSON shape of a search."""
        document: dict[str, Any] = {"query": self.query, "results": [result.as_json() for result in self.results]}
        if self.notices:
            document["notices"] = list(self.notices)
        return document
