"""The lexical peer: bm25s with its default method (Lucene's BM25) over code tokens."""

from __future__ import annotations

from pathlib import Path

import bm25s
import numpy as np

from benchmarks.retrieval.question import Found
from benchmarks.retrieval.source_files import read_sources
from benchmarks.retrieval.systems.code_tokens import code_tokens

WINDOW_LINES = 40
STEP_LINES = 30


class Lexicon:
    """BM25 over texts that were cut already: the lexical half of other recipes too."""

    def __init__(self, texts: list[str]) -> None:
        self._count = len(texts)
        self._model = bm25s.BM25()
        self._model.index([code_tokens(text) or ["_"] for text in texts], show_progress=False)

    def best(self, text: str, limit: int) -> list[int]:
        """Return the numbers of the best texts, best first, those without a common token left out."""
        tokens = [token for token in code_tokens(text) if token in self._model.vocab_dict]
        if not tokens:
            return []
        scores = self._model.get_scores(tokens)
        best = np.argsort(-scores, kind="stable")[: min(limit, self._count)]
        return [int(number) for number in best if scores[number] > 0]


class Bm25s:
    """Overlapping windows of lines, each with its path in front."""

    def __init__(self, cache: Path, scratch: Path) -> None:  # noqa: ARG002
        self._indexes: dict[str, tuple[list[Found], Lexicon]] = {}

    def index(self, tree: Path, repo: str) -> float:
        """Cut every source file into windows and index them."""
        places, texts = [], []
        for path, text in read_sources(tree):
            lines = text.split("\n")
            for start in range(0, max(1, len(lines) - (WINDOW_LINES - STEP_LINES)), STEP_LINES):
                window = lines[start : start + WINDOW_LINES]
                places.append(Found(path, start + 1, start + len(window)))
                texts.append(f"{path}\n" + "\n".join(window))
        self._indexes[repo] = (places, Lexicon(texts))
        return 0.0

    def search(self, repo: str, text: str, limit: int) -> list[Found]:
        """Return the best windows."""
        places, lexicon = self._indexes[repo]
        return [places[number] for number in lexicon.best(text, limit)]


start = Bm25s
