"""This project through its public face, in a CIA_HOME of its own. ``CIA_*`` variables change its settings as anywhere."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.retrieval.question import Found
from cia.retrieval import Indexer, Retriever
from cia.settings import load_settings


class Cia:
    """The index on disk, reopened after each repository that was added."""

    def __init__(self, cache: Path, scratch: Path) -> None:  # noqa: ARG002
        self._settings = load_settings(environment={**os.environ, "CIA_HOME": str(scratch / "cia-home")})
        self._retriever: Retriever | None = None

    def index(self, tree: Path, repo: str) -> float:
        """Index ``tree`` and open it for searching."""
        if self._retriever:
            self._retriever.close()
        Indexer(self._settings).index(str(tree), name=repo)
        self._retriever = Retriever(self._settings)
        self._retriever.search("warm up", repos=[repo], limit=1)
        return 0.0

    def search(self, repo: str, text: str, limit: int) -> list[Found]:
        """Search ``repo`` alone."""
        assert self._retriever is not None
        response = self._retriever.search(text, repos=[repo], limit=limit)
        return [Found(result.file_path, result.line_start, result.line_end) for result in response.results]


start = Cia
