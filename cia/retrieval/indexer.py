"""From a repository to a searchable generation: only what changed is chunked and embedded again.

A point's id comes from its chunk's content, its vectors from the chunk alone, and the lexicon counts whole chunks. So the
result of an update is, point for point, what indexing the same commit from nothing would give.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cia.chunking import chunk_file
from cia.chunking.chunk import Chunk
from cia.corpus import Corpus
from cia.corpus.snapshot import Snapshot, SourceFile
from cia.progress import Progress, silent
from cia.retrieval.document import Document, document_of, model_text
from cia.retrieval.embedding import Embedder, open_embedder
from cia.retrieval.open_store import open_store
from cia.retrieval.sparse import Lexicon, document_vector
from cia.retrieval.store import SCHEMA_VERSION, Generation, IndexedRepository, Manifest, StoredPoint
from cia.settings import ChunkingSettings, Settings

FILES_A_BATCH = 64
EMBEDDED_A_BATCH = 256


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What indexing one repository did. ``added``, ``updated`` and ``deleted`` count files; ``skipped`` those not accepted."""

    name: str
    commit: str
    files: int
    chunks: int
    added: int
    updated: int
    deleted: int
    skipped: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the fixed JSON shape."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Changes:
    """How a snapshot differs from what is indexed."""

    added: tuple[SourceFile, ...]
    updated: tuple[SourceFile, ...]
    deleted: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.deleted)


class Indexer:
    """Indexes repositories into the store that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = open_store(settings)
        self._corpus = Corpus(settings)
        self._embedder: Embedder | None = None

    def index(self, source: str, name: str | None = None, progress: Progress = silent) -> IndexReport:
        """Bring the index of ``source`` to its present state and return what changed.

        Searches see the old state until the new one is complete. Another process that indexes the same repository is waited
        for. Raises SourceError for a source that cannot be read, OperationError when the disk or the store refuses.
        """
        return self.index_snapshot(self._corpus.add(source, name=name, progress=progress), progress)

    def index_snapshot(self, snapshot: Snapshot, progress: Progress = silent) -> IndexReport:
        """Index exactly ``snapshot``, whatever its source has become since; otherwise as ``index``."""
        started = time.perf_counter()
        with self._store.writing(snapshot.repo, lambda message: progress(message, 0, 0)):
            previous = self._previous(snapshot.repo)
            changes = compare(snapshot, previous.manifest() if previous else Manifest({}))
            if previous is not None and not changes and previous.record.commit == snapshot.commit:
                record = previous.record
            else:
                record = self._write(snapshot, previous, changes, progress)
        self._corpus.prune(snapshot.repo, keep={snapshot.commit})
        return IndexReport(
            name=snapshot.repo,
            commit=snapshot.commit,
            files=record.files,
            chunks=record.chunks,
            added=len(changes.added),
            updated=len(changes.updated),
            deleted=len(changes.deleted),
            skipped=sum(snapshot.skipped.values()),
            seconds=round(time.perf_counter() - started, 3),
        )

    def remove(self, repo: str) -> None:
        """Forget a repository: its index and its snapshots. Raises NotIndexedError."""
        self._store.remove(repo)
        self._corpus.remove(repo)

    @property
    def embedder(self) -> Embedder:
        """The model that makes the vectors, loaded when first needed."""
        if self._embedder is None:
            self._embedder = open_embedder(self._settings.index)
        return self._embedder

    def _previous(self, repo: str) -> Generation | None:
        """The current generation, if an update of it gives the same as indexing anew."""
        record = next((record for record in self._store.repositories() if record.name == repo), None)
        if record is None or record.schema_version != SCHEMA_VERSION:
            return None
        same = (record.embedding_model, record.chunking) == (self.embedder.name, chunking_key(self._settings.chunking))
        return self._store.open(repo) if same else None

    def _write(self, snapshot: Snapshot, previous: Generation | None, changes: Changes, progress: Progress) -> IndexedRepository:
        files = dict(previous.manifest().files) if previous else {}
        gone = {path: files.pop(path)[1] for path in (*changes.deleted, *(file.path for file in changes.updated))}
        removed = {identifier for ids in gone.values() for identifier in ids}
        old = previous.points(sorted(removed)) if previous else {}
        generation = f"{snapshot.commit[:12]}-{uuid.uuid4().hex[:8]}"
        added_terms = []
        with self._store.writer(snapshot.repo, previous, generation, self.embedder.dimensions) as writer:
            writer.delete(sorted(removed))
            fresh = (*changes.added, *changes.updated)
            for number, batch in enumerate(batches(fresh, FILES_A_BATCH)):
                progress("indexing", number * FILES_A_BATCH, len(fresh))
                points = self._points(snapshot, batch, files, old)
                added_terms += [point.sparse.ids for point in points]
                writer.upsert(points)
            progress("indexing", len(fresh), len(fresh))
            lexicon = (previous.lexicon if previous else Lexicon.empty()).changed(
                added_terms, [old[identifier].sparse.ids for identifier in removed]
            )
            chunks = sum(len(ids) for _, ids in files.values())
            record = IndexedRepository(
                name=snapshot.repo,
                commit=snapshot.commit,
                files=len(snapshot.files),
                chunks=chunks,
                embedding_model=self.embedder.name,
                generation=generation,
                schema_version=SCHEMA_VERSION,
                chunking=chunking_key(self._settings.chunking),
                embedded=chunks,
            )
            writer.publish(record, lexicon, Manifest(dict(sorted(files.items()))))
        return record

    def _points(
        self,
        snapshot: Snapshot,
        batch: Sequence[SourceFile],
        files: dict[str, tuple[str, tuple[int, ...]]],
        old: dict[int, StoredPoint],
    ) -> list[StoredPoint]:
        found: list[tuple[int, Chunk, Document]] = []
        for file in batch:
            chunks = chunk_file(file.path, snapshot.blob_path(file.blob).read_bytes(), self._settings.chunking)
            ids = point_ids(chunks)
            files[file.path] = (file.blob, tuple(ids))
            found += zip(ids, chunks, map(document_of, chunks), strict=True)
        texts = [] if self.embedder.immediate else [model_text(chunk) for _, chunk, _ in found]
        dense = self.embedder.embed_chunks([document for _, _, document in found], texts)
        return [
            StoredPoint(identifier, dense[number], document_vector(document), payload_of(chunk))
            for number, (identifier, chunk, document) in enumerate(found)
        ]


def compare(snapshot: Snapshot, manifest: Manifest) -> Changes:
    """Return which files came, changed and went between what is indexed and ``snapshot``."""
    indexed = manifest.files
    present = {file.path for file in snapshot.files}
    return Changes(
        added=tuple(file for file in snapshot.files if file.path not in indexed),
        updated=tuple(file for file in snapshot.files if file.path in indexed and indexed[file.path][0] != file.blob),
        deleted=tuple(path for path in indexed if path not in present),
    )


def point_ids(chunks: Sequence[Chunk]) -> list[int]:
    """Return a 63-bit id for each chunk of one file: of its content, and of which one it is among equal ones."""
    seen: Counter[str] = Counter()
    ids = []
    for chunk in chunks:
        content = chunk.content_hash
        key = content if not seen[content] else hashlib.sha256(f"{content}\0{seen[content]}".encode()).hexdigest()
        seen[content] += 1
        ids.append(int(key[:16], 16) >> 1)
    return ids


def payload_of(chunk: Chunk) -> dict[str, Any]:
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
        "content_hash": chunk.content_hash,
        "signature": chunk.signature,
        "calls": list(chunk.calls),
        "parents": list(chunk.parents),
        "text": chunk.text,
    }


def chunking_key(settings: ChunkingSettings) -> str:
    """Return a short key that changes with any chunking setting."""
    return hashlib.sha256(json.dumps(settings.model_dump(), sort_keys=True).encode()).hexdigest()[:12]


def batches(items: Sequence[SourceFile], size: int) -> Iterator[Sequence[SourceFile]]:
    """Yield ``items`` in runs of ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
