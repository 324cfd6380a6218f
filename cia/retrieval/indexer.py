"""From a repository to a searchable generation: only what changed is chunked and embedded again.

A point's id comes from its chunk's content, its vectors from the chunk alone, and the lexicon counts whole chunks. So the
result of an update is, point for point, what indexing the same commit from nothing would give.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cia.corpus import Corpus
from cia.corpus.snapshot import Snapshot, SourceFile
from cia.errors import NotIndexedError, OperationError, UnavailableError
from cia.progress import Progress, silent
from cia.retrieval.document import model_text
from cia.retrieval.embedding import Embedder, open_embedder
from cia.retrieval.open_store import open_store
from cia.retrieval.preparing import FileToPrepare, mean_vector
from cia.retrieval.sparse import Lexicon
from cia.retrieval.store import SCHEMA_VERSION, Generation, IndexedRepository, Manifest, StoredPoint
from cia.retrieval.workers import prepare_all
from cia.settings import ChunkingSettings, Settings

FILES_A_BATCH = 64
EMBEDDED_A_GENERATION = 4096
"""Chunks that a slow model embeds before the result is published, so that a kill loses little."""


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
class PreparedIndex:
    """A repository that is indexed, and its state, to be given to ``Indexer.switch``."""

    report: IndexReport
    state: str


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
        started = time.perf_counter()
        report = self.index_snapshot(self._corpus.add(source, name=name, progress=progress), progress)
        return replace(report, seconds=round(time.perf_counter() - started, 3))

    def index_snapshot(self, snapshot: Snapshot, progress: Progress = silent) -> IndexReport:
        """Index exactly ``snapshot``, whatever its source has become since; otherwise as ``index``."""
        with self._store.writing(snapshot.repo, lambda message: progress(message, 0, 0)):
            prepared = self._bring_to(snapshot, ahead=False, progress=progress)
            self._store.confirm(snapshot.repo)
        self._corpus.prune(snapshot.repo, keep={snapshot.commit})
        return prepared.report

    def prepare(self, snapshot: Snapshot, progress: Progress = silent) -> PreparedIndex:
        """Index ``snapshot`` without showing it: searches see it once ``switch`` is called. Otherwise as ``index_snapshot``.

        What a killed call had prepared is carried on from. Work that is not switched to is dropped by the next change of the
        repository's index.
        """
        with self._store.writing(snapshot.repo, lambda message: progress(message, 0, 0)):
            return self._bring_to(snapshot, ahead=True, progress=progress)

    def switch(self, states: Mapping[str, str]) -> None:
        """Make what was prepared visible, for each repository the ``state`` of its ``PreparedIndex``: all at once.

        On a Qdrant server all at once ends at 24 MB of manifests and lexicons, some two million chunks in repositories that
        changed. A search that is under way may have opened one repository before and another after; the next one sees all.
        Raises OperationError, and switches none, when another process has indexed one of them since.
        """
        self._store.switch(states)
        for record in self._store.repositories():
            if record.name in states:
                with self._store.writing(record.name):
                    self._store.confirm(record.name)
                self._corpus.prune(record.name, keep={record.commit})

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

    def _bring_to(self, snapshot: Snapshot, ahead: bool, progress: Progress) -> PreparedIndex:
        """Have a generation with what ``snapshot`` holds: current, or ``ahead`` of a switch. The report compares with current."""
        started = time.perf_counter()
        repo = snapshot.repo
        current = self._usable(lambda: self._store.open(repo))
        changes = _changes(snapshot, current)
        begun, missing = current, changes
        if ahead and not _is_of(current, snapshot, changes):
            begun = self._usable(lambda: self._store.prepared(repo)) or current
            missing = _changes(snapshot, begun)
        elif ahead:
            self._store.forget_prepared(repo)
        if begun is not None and _is_of(begun, snapshot, missing):
            record = begun.record
        else:
            record = self._write(snapshot, begun, missing, ahead, progress)
            begun = None
        if record.embedded < record.chunks:
            record = self._embed_the_rest(begun or self._latest(repo, ahead), ahead, progress)
        report = IndexReport(
            name=repo,
            commit=snapshot.commit,
            files=record.files,
            chunks=record.chunks,
            added=len(changes.added),
            updated=len(changes.updated),
            deleted=len(changes.deleted),
            skipped=sum(snapshot.skipped.values()),
            seconds=round(time.perf_counter() - started, 3),
        )
        return PreparedIndex(report, record.state)

    def _latest(self, repo: str, ahead: bool) -> Generation:
        generation = self._store.prepared(repo) if ahead else self._store.open(repo)
        if generation is None:
            raise OperationError(f"the prepared index of {repo} is damaged; run the same command again")
        return generation

    def _usable(self, find: Callable[[], Generation | None]) -> Generation | None:
        """The generation, if there is one and an update of it gives the same as indexing anew."""
        try:
            generation = find()
            if generation is None:
                return None
            generation.manifest()
        except UnavailableError:
            raise
        except (NotIndexedError, OperationError):
            return None  # there is none, or it is damaged: made anew
        record = generation.record
        same = (record.schema_version, record.embedding_model, record.chunking) == (
            SCHEMA_VERSION,
            self.embedder.name,
            chunking_key(self._settings.chunking),
        )
        return generation if same else None

    def _write(
        self, snapshot: Snapshot, previous: Generation | None, changes: Changes, ahead: bool, progress: Progress
    ) -> IndexedRepository:
        files = dict(previous.manifest().files) if previous else {}
        gone = [files.pop(path)[1] for path in (*changes.deleted, *(file.path for file in changes.updated))]
        old = previous.points([identifier for ids in gone for identifier in ids]) if previous else {}
        fresh = (*changes.added, *changes.updated)
        added: list[NDArray[np.uint32]] = []
        embedded = previous.record.embedded - _embedded(old.values()) if previous else 0
        embedder = self.embedder
        with self._store.writer(snapshot.repo, previous, embedder.name, embedder.dimensions, ahead) as writer:
            writer.delete(sorted(old))
            done = 0
            with closing(self._prepared(snapshot, fresh)) as prepared:
                for batch in prepared:
                    progress("indexing", done, len(fresh))
                    for file, points in zip(fresh[done:], batch, strict=False):
                        files[file.path] = (file.blob, tuple(point.id for point in points))
                    points = [point for of_file in batch for point in self._known(of_file, old)]
                    added += [point.sparse.ids for point in points if point.level == "chunk"]
                    embedded += _embedded(points)
                    writer.upsert(points)
                    done += len(batch)
            progress("indexing", len(fresh), len(fresh))
            removed = [point.sparse.ids for point in old.values() if point.level == "chunk"]
            lexicon = (previous.lexicon if previous else Lexicon.empty()).changed(added, removed)
            record = IndexedRepository(
                name=snapshot.repo,
                commit=snapshot.commit,
                files=len(snapshot.files),
                chunks=lexicon.documents,
                embedding_model=embedder.name,
                generation=writer.generation,
                schema_version=SCHEMA_VERSION,
                chunking=chunking_key(self._settings.chunking),
                embedded=embedded,
            )
            writer.publish(record, lexicon, Manifest(dict(sorted(files.items()))))
        return record

    def _prepared(self, snapshot: Snapshot, fresh: Sequence[SourceFile]) -> Generator[list[list[StoredPoint]]]:
        """The points of each of the ``fresh`` files, batch by batch; without vectors when the model is too slow to wait for."""
        files = [FileToPrepare(file.path, snapshot.blob_path(file.blob)) for file in fresh]
        batches = [files[start : start + FILES_A_BATCH] for start in range(0, len(files), FILES_A_BATCH)]
        embedder = self.embedder if self.embedder.immediate else None
        return prepare_all(batches, sum(file.size for file in fresh), self._settings, embedder)

    def _known(self, of_file: list[StoredPoint], old: Mapping[int, StoredPoint]) -> list[StoredPoint]:
        return of_file if self.embedder.immediate or not old else _with_known_vectors(of_file, old)

    def _embed_the_rest(self, generation: Generation, ahead: bool, progress: Progress) -> IndexedRepository:
        """Give vectors to the chunks that lack them, publishing what is done every now and then."""
        repo = generation.record.name
        while generation.record.embedded < generation.record.chunks:
            missing = _without_vector(generation, EMBEDDED_A_GENERATION)
            embedder, record = self.embedder, generation.record
            with self._store.writer(repo, generation, embedder.name, embedder.dimensions, ahead) as writer:
                done = record.embedded
                for of_file in missing:
                    completed = self._completed(of_file)
                    done += _embedded(completed) - _embedded(of_file)
                    writer.upsert(completed)
                    progress("embedding", done, record.chunks)
                record = replace(record, generation=writer.generation, embedded=done)
                writer.publish(record, generation.lexicon, generation.manifest())
            generation = self._latest(repo, ahead)
        return generation.record

    def _completed(self, of_file: Sequence[StoredPoint]) -> list[StoredPoint]:
        lacking = [point for point in of_file if point.level == "chunk" and point.dense is None]
        texts = [model_text(point.payload) for point in lacking]
        vectors = {point.id: vector for point, vector in zip(lacking, self.embedder.embed_chunks((), texts), strict=True)}
        return _with_vectors(of_file, vectors)


def _changes(snapshot: Snapshot, generation: Generation | None) -> Changes:
    return compare(snapshot, generation.manifest() if generation else Manifest({}))


def _is_of(generation: Generation | None, snapshot: Snapshot, changes: Changes) -> bool:
    return generation is not None and not changes and generation.record.commit == snapshot.commit


def _without_vector(generation: Generation, enough: int) -> list[list[StoredPoint]]:
    """The points of files that have chunks without a vector, file by file, until there are ``enough`` such chunks."""
    found: list[list[StoredPoint]] = []
    count = 0
    for _, ids in generation.manifest().files.values():
        points = list(generation.points(ids).values())
        lacking = sum(point.level == "chunk" and point.dense is None for point in points)
        if lacking:
            found.append(points)
            count += lacking
        if count >= enough:
            break
    return found


def _with_known_vectors(of_file: Sequence[StoredPoint], old: Mapping[int, StoredPoint]) -> list[StoredPoint]:
    """The points of a file with the vectors that chunks of the same content already had."""
    return _with_vectors(of_file, {point.id: old[point.id].dense for point in of_file if point.id in old})


def _with_vectors(of_file: Sequence[StoredPoint], vectors: Mapping[int, NDArray[np.float32] | None]) -> list[StoredPoint]:
    chunks = [replace(point, dense=vectors.get(point.id, point.dense)) for point in of_file if point.level == "chunk"]
    mean = mean_vector([point.dense for point in chunks])
    return chunks + [replace(point, dense=mean) for point in of_file if point.level == "file"]


def _embedded(points: Iterable[StoredPoint]) -> int:
    return sum(point.level == "chunk" and point.dense is not None for point in points)


def compare(snapshot: Snapshot, manifest: Manifest) -> Changes:
    """Return which files came, changed and went between what is indexed and ``snapshot``."""
    indexed = manifest.files
    present = {file.path for file in snapshot.files}
    return Changes(
        added=tuple(file for file in snapshot.files if file.path not in indexed),
        updated=tuple(file for file in snapshot.files if file.path in indexed and indexed[file.path][0] != file.blob),
        deleted=tuple(path for path in indexed if path not in present),
    )


def chunking_key(settings: ChunkingSettings) -> str:
    """Return a short key that changes with any chunking setting."""
    return hashlib.sha256(json.dumps(settings.model_dump(), sort_keys=True).encode()).hexdigest()[:12]
