"""The embedded index: Qdrant's own engine in this process, a shard per generation under ``CIA_HOME/index``.

    index/<repo>/current.json            which generation readers open; see ``cia.retrieval.pointers``
    index/<repo>/<generation>/shard/     Qdrant's files: vectors, payload and their indexes
    index/<repo>/<generation>/lexicon.npy, manifest.json
    index/<repo>/<generation>/files.json           the seal: every file with its length

Loading a shard and searching it writes nothing, so any number of processes read one generation. A generation that has been
replaced is removed at once: readers that have it open keep their mapped files (POSIX unlink(2)), and a reader that was about
to open it reads the pointer again.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray
from pydantic_core import from_json, to_json

from cia.durable_files import exclusive, remove_unfinished, replace_directory
from cia.errors import NotIndexedError, OperationError
from cia.retrieval.pointers import Pointers, damaged
from cia.retrieval.seal import check, mark_damaged, seal
from cia.retrieval.sparse import Lexicon, SparseTerms
from cia.retrieval.store import (
    Condition,
    Generation,
    GenerationWriter,
    IndexedRepository,
    Level,
    Manifest,
    StoredPoint,
    to_switch,
)

INDEXED_FIELDS = ("name", "file_name", "file_path", "language")
WHOLE_PAYLOAD = "whole"
"""Beside the indexed fields a point holds its payload as one string of JSON: the engine takes values one by one, and taking
a dozen of them costs more than all the rest of storing a point."""
DENSE: dict[Level, str] = {"chunk": "dense", "file": "file_dense"}
SPARSE: dict[Level, str] = {"chunk": "sparse", "file": "file_sparse"}
NO_GRAPH = 2**40
"""Kilobytes of vectors from which a graph (HNSW) would be built: never. An exact scan of 200,000 vectors takes tens of
milliseconds and misses nothing; building the graph takes longer than everything else in indexing."""
PAYLOADS_KEPT = 20_000
"""Of one generation in memory, about 40 MB: questions about a repository meet the same chunks again and again."""
BATCH = 500
LOCK_WAIT_SECONDS = 600.0


class EdgeStore:
    """All generations below one directory."""

    def __init__(self, directory: Path) -> None:
        self._pointers = Pointers(directory)

    def repositories(self) -> list[IndexedRepository]:
        """Return the current generation of each repository, by name."""
        return [record for name in self._pointers.names() if (record := self._pointers.current(name)) is not None]

    def version(self, repo: str) -> tuple[int, int] | None:
        """Return something that changes with every switch, from one stat(2); None when the repository is not indexed."""
        return self._pointers.version(repo)

    def open(self, repo: str) -> EdgeGeneration:
        """Open the current generation. Raises NotIndexedError, or OperationError when its files are damaged."""
        for attempt in range(5):
            record = self._pointers.current(repo)
            if record is None:
                raise NotIndexedError(f"no repository {repo!r} is indexed; `cia index SOURCE` adds one")
            try:
                return EdgeGeneration(record, self._pointers.folder(repo) / record.generation)
            except BaseException as error:
                if not _of_the_engine(error):
                    raise
                current = self._pointers.current(repo)
                if attempt == 4 or current is None or current.generation == record.generation:
                    raise damaged(repo, error) from error
        raise AssertionError("unreachable")

    def prepared(self, repo: str) -> EdgeGeneration | None:
        """Open the generation that waits for the switch, None when there is none that can be used."""
        try:
            record = self._pointers.prepared(repo)
            return EdgeGeneration(record, self._pointers.folder(repo) / record.generation) if record else None
        except BaseException as error:
            if not (isinstance(error, OperationError) or _of_the_engine(error)):
                raise
            return None  # damaged: made anew

    @contextmanager
    def writing(self, repo: str, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the only right to change ``repo``; a second process waits for it, telling ``on_wait``."""
        folder = self._pointers.folder(repo)
        with exclusive(folder / "lock", f"indexing {repo}", LOCK_WAIT_SECONDS, on_wait):
            remove_unfinished(folder)
            self._pointers.settle(repo)
            yield

    @contextmanager
    def writer(
        self,
        repo: str,
        previous: Generation | None,
        model: str,  # noqa: ARG002
        dimensions: int,
        ahead: bool = False,
    ) -> Iterator[GenerationWriter]:
        """Yield a writer of the next generation, which starts as a copy of ``previous``; only within ``writing``.

        What it publishes is current at once, or, ``ahead``, waits for the switch.
        """
        folder = self._pointers.folder(repo)
        generation = uuid.uuid4().hex[:12]
        with replace_directory(folder / generation) as staging:
            if isinstance(previous, EdgeGeneration):
                copy_sparse_tree(previous.directory / "shard", staging / "shard")
            writer = EdgeWriter(staging, generation, dimensions)
            try:
                yield writer
            finally:
                writer.close()
            seal(staging)
        assert writer.record is not None, "a writer publishes before it is left"
        if ahead:
            self._pointers.set_prepared(writer.record)
        else:
            self._pointers.set_current(writer.record)
        self._sweep(repo)

    def forget_prepared(self, repo: str) -> None:
        """Remove what waits for the switch, if anything does; only within ``writing``."""
        self._pointers.forget_prepared(repo)
        self._sweep(repo)

    def switch(self, states: Mapping[str, str]) -> None:
        """Make what is prepared of each repository current, all in one step.

        One that is current already is left as it is. Raises OperationError, and switches nothing, when one is not there.
        """
        with ExitStack() as locks:
            for repo in sorted(states):
                locks.enter_context(self.writing(repo))
            current = {repo: self._readable(self._pointers.current, repo) for repo in states}
            prepared = {repo: self._readable(self._pointers.prepared, repo) for repo in states}
            records = to_switch(current, prepared, states)
            self._pointers.set_all_current(records)
            for repo in records:
                self._sweep(repo)

    def confirm(self, repo: str) -> None:
        """Write down that ``repo`` is up to date as of now; only within ``writing``."""
        self._pointers.confirm(repo)

    def remove(self, repo: str) -> None:
        """Forget a repository. Raises NotIndexedError."""
        if self._pointers.current(repo) is None:
            raise NotIndexedError(f"no repository {repo!r} is indexed")
        with self.writing(repo):
            self._pointers.forget(repo)
            self._sweep(repo)

    def close(self) -> None:
        """Nothing is held between calls."""

    @staticmethod
    def _readable(pointer: Callable[[str], IndexedRepository | None], repo: str) -> IndexedRepository | None:
        try:
            return pointer(repo)
        except OperationError:
            return None  # damaged: as good as none for whoever replaces it

    def _sweep(self, repo: str) -> None:
        """Remove every generation that no pointer names."""
        known = (self._readable(self._pointers.current, repo), self._readable(self._pointers.prepared, repo))
        named = {record.generation for record in known if record}
        for entry in self._pointers.folder(repo).iterdir():
            if entry.is_dir() and entry.name not in named:
                shutil.rmtree(entry, ignore_errors=True)


class EdgeGeneration:
    """One generation, open for reading from any thread."""

    def __init__(self, record: IndexedRepository, directory: Path) -> None:
        self.record = record
        self.directory = directory
        self._lexicon: Lexicon | None = None
        self._manifest: Manifest | None = None
        self._payloads: dict[int, dict[str, Any]] = {}
        self._once = threading.Lock()
        check(directory)
        self._lexicon = Lexicon.load(directory / "lexicon.npy")
        self._shard = edge.EdgeShard.load(str(directory / "shard"))

    @property
    def lexicon(self) -> Lexicon:
        """In how many chunks each term occurs."""
        assert self._lexicon is not None
        return self._lexicon

    def manifest(self) -> Manifest:
        """Return which files and points this generation is made of."""
        with self._once:
            if self._manifest is None:
                with self._reading():
                    self._manifest = read_manifest(self.directory / "manifest.json")
            return self._manifest

    def nearest(
        self, level: Level, vector: NDArray[np.float32] | SparseTerms, limit: int, condition: Condition
    ) -> list[tuple[int, float]]:
        """Return ids and scores, best first: cosines of a dense vector (exact, nothing is approximated), BM25F of terms."""
        return self._nearest(level, vector, limit, _filter(condition))

    def scores(self, level: Level, vector: NDArray[np.float32] | SparseTerms, ids: Sequence[int]) -> dict[int, float]:
        """Return the score of each of ``ids`` that has such a vector and, for terms, shares one."""
        return dict(self._nearest(level, vector, len(ids), edge.Filter(must=[edge.HasIdCondition(set(ids))]))) if ids else {}

    def matching(self, condition: Condition, limit: int) -> list[int]:
        """Return the ids of chunks whose payload matches, without an order."""
        request = edge.ScrollRequest(limit=limit, filter=_filter(condition), with_payload=False, with_vector=False)
        with self._reading():
            return [int(record.id) for record in self._shard.scroll(request)[0]]

    def payloads(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Return the payload of each of ``ids``."""
        known = self._payloads
        missing: list[Any] = [identifier for identifier in ids if identifier not in known]
        if len(known) + len(missing) > PAYLOADS_KEPT:
            known, missing = {}, list(ids)
        if missing:
            with self._reading():
                records = self._shard.retrieve(missing, with_payload=[WHOLE_PAYLOAD], with_vector=False)
                known.update({int(record.id): _payload(record) for record in records})
        self._payloads = known
        return {identifier: known[identifier] for identifier in ids if identifier in known}

    def points(self, ids: Sequence[int]) -> dict[int, StoredPoint]:
        """Return whole points, vectors too."""
        with self._reading():
            records = self._shard.retrieve(list(ids), with_payload=[WHOLE_PAYLOAD], with_vector=True)
            return {int(record.id): _stored_point(record) for record in records}

    def _nearest(
        self, level: Level, vector: NDArray[np.float32] | SparseTerms, limit: int, condition: edge.Filter | None
    ) -> list[tuple[int, float]]:
        if isinstance(vector, SparseTerms):
            if not len(vector.ids):
                return []
            query = edge.Query.Nearest(_sparse(vector), using=SPARSE[level])
        else:
            query = edge.Query.Nearest(vector.tolist(), using=DENSE[level])
        request = edge.QueryRequest(
            limit=limit, query=query, filter=condition, with_payload=False, params=edge.SearchParams(exact=True)
        )
        with self._reading():
            return [(int(point.id), point.score) for point in self._shard.query(request)]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not _of_the_engine(error):
                raise
            mark_damaged(self.directory)
            raise damaged(self.record.name, error) from error


class EdgeWriter:
    """A generation while it is built in ``directory``."""

    def __init__(self, directory: Path, generation: str, dimensions: int) -> None:
        self.generation = generation
        self._directory = directory
        self.record: IndexedRepository | None = None
        shard = directory / "shard"
        if shard.exists():
            self._shard = edge.EdgeShard.load(str(shard))
        else:
            shard.mkdir()
            self._shard = edge.EdgeShard.create(
                str(shard),
                edge.EdgeConfig(
                    vectors={name: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Dot) for name in DENSE.values()},
                    sparse_vectors={name: edge.EdgeSparseVectorParams() for name in SPARSE.values()},
                    optimizers=edge.EdgeOptimizersConfig(indexing_threshold=NO_GRAPH),
                    wal_enabled=False,
                ),
            )
            for field in INDEXED_FIELDS:
                self._shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))

    def delete(self, ids: Sequence[int]) -> None:
        """Take points out."""
        if ids:
            self._shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def upsert(self, points: Iterable[StoredPoint]) -> None:
        """Put points in, replacing those with the same id."""
        rest = iter(points)
        while batch := list(islice(rest, BATCH)):
            self._shard.update(edge.UpdateOperation.upsert_points([_edge_point(point) for point in batch]))

    def publish(self, record: IndexedRepository, lexicon: Lexicon, manifest: Manifest) -> None:
        """Finish the files; leaving ``EdgeStore.writer`` then makes them the current generation."""
        self._shard.optimize()
        self._shard.flush()
        lexicon.save(self._directory / "lexicon.npy")
        (self._directory / "manifest.json").write_text(json.dumps(manifest.files), encoding="utf-8")
        self.record = record

    def close(self) -> None:
        """Release the files."""
        self._shard.close()


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises OSError or ValueError."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Manifest({file: (blob, tuple(ids)) for file, (blob, ids) in stored.items()})


def copy_sparse_tree(source: Path, target: Path) -> None:
    """Copy a directory; holes in files stay holes (Qdrant reserves far more than it fills)."""
    for folder, _, names in os.walk(source):
        there = target / os.path.relpath(folder, source)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            _copy_sparse_file(Path(folder) / name, there / name)


def _copy_sparse_file(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("wb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        end = 0
        while end < size:
            try:
                start = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            os.lseek(new.fileno(), start, os.SEEK_SET)
            at = start
            while at < end:
                at += os.sendfile(new.fileno(), old.fileno(), at, end - at)


def _edge_point(point: StoredPoint) -> edge.Point:
    vector: dict[str, Any] = {SPARSE[point.level]: _sparse(point.sparse)}
    if point.dense is not None:
        vector[DENSE[point.level]] = point.dense.tolist()
    payload = {field: point.payload[field] for field in INDEXED_FIELDS if field in point.payload}
    payload[WHOLE_PAYLOAD] = to_json(point.payload).decode()
    return edge.Point(point.id, vector, payload)


def _stored_point(record: edge.Record) -> StoredPoint:
    vectors: Any = record.vector
    level: Level = "chunk" if SPARSE["chunk"] in vectors else "file"
    sparse, dense = vectors[SPARSE[level]], vectors.get(DENSE[level])
    return StoredPoint(
        int(record.id),
        level,
        None if dense is None else np.asarray(dense, np.float32),
        SparseTerms(np.asarray(sparse.indices, np.uint32), np.asarray(sparse.values, np.float32)),
        _payload(record),
    )


def _payload(record: edge.Record) -> dict[str, Any]:
    whole: dict[str, Any] = from_json((record.payload or {})[WHOLE_PAYLOAD])
    return whole


def _sparse(terms: SparseTerms) -> edge.SparseVector:
    return edge.SparseVector(terms.ids.tolist(), terms.weights.tolist())


def _filter(condition: Condition) -> edge.Filter | None:
    if not condition.matches:
        return None
    return edge.Filter(
        must=[edge.FieldCondition(field, match=edge.MatchAny(list(values))) for field, values in condition.matches.items()]
    )


def _of_the_engine(error: BaseException) -> bool:
    """Whether reading failed: the engine raises bare Exception, and a panic in it is no Exception at all."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
