"""A file to the points that stand for it: one for each of its chunks, one for the whole file.

What comes out depends on the file, the settings and the model alone, never on the rest of the repository or on the batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cia.chunking import chunk_file
from cia.chunking.chunk import Chunk
from cia.retrieval.document import document_of
from cia.retrieval.embedding import Embedder
from cia.retrieval.sparse import document_vectors, file_vectors
from cia.retrieval.store import StoredPoint, file_point_id, point_id
from cia.settings import ChunkingSettings


class FileToPrepare(NamedTuple):
    """A file by its path in the repository, and where its content lies."""

    path: str
    content: Path


def prepare(batch: Sequence[FileToPrepare], chunking: ChunkingSettings, embedder: Embedder | None) -> list[list[StoredPoint]]:
    """Return for each file its chunks' points, then its own; nothing for an empty file. Without a model none has a vector."""
    chunked = [chunk_file(file.path, file.content.read_bytes(), chunking) for file in batch]
    documents = [[document_of(chunk) for chunk in chunks] for chunks in chunked]
    of_all = [document for of_file in documents for document in of_file]
    terms = iter(document_vectors(of_all))
    vectors = iter(embedder.embed_chunks(of_all, ()) if embedder else ())
    prepared = []
    for file, chunks, terms_of_file in zip(batch, chunked, file_vectors(documents), strict=True):
        hashes = [chunk.content_hash for chunk in chunks]
        points = [
            StoredPoint(identifier, "chunk", next(vectors, None), next(terms), payload_of(chunk, content))
            for identifier, chunk, content in zip(chunk_ids(hashes), chunks, hashes, strict=True)
        ]
        if chunks:
            payload = {"file_path": file.path, "language": chunks[0].language}
            mean = mean_vector([point.dense for point in points])
            points.append(StoredPoint(file_point_id(file.path), "file", mean, terms_of_file, payload))
        prepared.append(points)
    return prepared


def mean_vector(vectors: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """Return the unit vector of the mean, or None when one is missing."""
    present = [vector for vector in vectors if vector is not None]
    if not present or len(present) < len(vectors):
        return None
    mean = np.mean(present, axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


def chunk_ids(hashes: Sequence[str]) -> list[int]:
    """Return a 63-bit id for each chunk of one file: of its content's hash, and of which one it is among equal ones."""
    seen: Counter[str] = Counter()
    ids = []
    for content in hashes:
        ids.append(point_id(f"{content}\0{seen[content]}"))
        seen[content] += 1
    return ids


def payload_of(chunk: Chunk, content_hash: str) -> dict[str, Any]:
    """Return what is stored beside the vectors: the chunk's metadata, its text, and the keys of exact look-ups."""
    return {
        "file_path": chunk.file_path,
        "file_name": chunk.file_path.rpartition("/")[2].lower(),
        "line_start": chunk.line_start,
        "line_end": chunk.line_end,
        "language": chunk.language,
        "kind": chunk.kind,
        "symbol": chunk.symbol,
        "name": chunk.symbol.rpartition(".")[2].lower(),
        "content_hash": content_hash,
        "signature": chunk.signature,
        "calls": list(chunk.calls),
        "parents": list(chunk.parents),
        "text": chunk.text,
    }
