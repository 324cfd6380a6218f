"""What is compared: each system indexes a folder and answers questions about it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from benchmarks.retrieval.question import Found

SYSTEMS = {
    "cia": "this project, default settings",
    "langchain": "LangChain's splitter by language (1000 characters, 200 shared), MiniLM + BM25, reciprocal rank fusion",
    "bm25s": "bm25s over code tokens, windows of 40 lines",
    "semble": "semble, static MiniLM vectors + BM25 + its ranking",
    "semble-bm25": "semble with alpha=0: its BM25 and ranking, no vectors",
}
SLOW = frozenset({"langchain"})
"""Systems that embed with a transformer: minutes a repository on two cores."""


class System(Protocol):
    """One system in one process. It keeps what it needs below ``cache``, and states for one run below ``scratch``."""

    def __init__(self, cache: Path, scratch: Path) -> None: ...

    def index(self, tree: Path, repo: str) -> float:
        """Make ``tree`` searchable as ``repo``; return seconds to add for work that an earlier run's cache spared this one."""
        ...

    def search(self, repo: str, text: str, limit: int) -> Sequence[Found]:
        """Return at most ``limit`` results in ``repo``, best first."""
        ...


def start_system(name: str, cache: Path, scratch: Path) -> System:
    """Import and start the system called ``name``, one of ``SYSTEMS``."""
    module = import_module(f"benchmarks.retrieval.systems.{name.replace('-', '_')}")
    system: System = module.start(cache, scratch)
    return system
