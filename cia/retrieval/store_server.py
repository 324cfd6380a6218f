"""The index on a Qdrant server, shared by any number of processes and machines.

One collection a model (``code_chunks-static-1``: a collection has one dense size) holds the points of all repositories and
generations, and ``code_chunks-catalog`` one point a repository. A point is valid from one generation until another: readers
filter by the generation that the catalog names, writers add points that are valid from the next one and mark those that go.
Replacing the catalog's point is the switch: record, lexicon and manifest change in that one upsert. What a killed writer left
is valid from a generation that never came; the next writer takes it back first.

A generation that is *prepared* is one that came but that no catalog names yet: its entry lies in ``code_chunks-prepared``. To
switch several repositories is to put their entries into the catalog in one upsert: one operation of the catalog's one shard,
there as a whole after a crash or not at all.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from cia.durable_files import exclusive
from cia.errors import NotIndexedError, OperationError, UnavailableError
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
from cia.settings import Settings

DENSE: dict[Level, str] = {"chunk": "dense", "file": "file_dense"}
SPARSE: dict[Level, str] = {"chunk": "sparse", "file": "file_sparse"}
KEYWORDS = ("repo", "language", "file_path", "file_name", "symbol", "name")
INTEGERS = ("point_id", "valid_from", "valid_to")
OPEN_END = 2**53
"""``valid_to`` of a point that no generation has taken out."""
BATCH = 256
REQUEST_BYTES = 24 * 2**20
"""Of catalog entries in one upsert; the server's own limit is 32 MB. It is some two million chunks in changed repositories:
beyond that a switch is several steps."""
LOCK_WAIT_SECONDS = 600.0
TIMEOUT_SECONDS = 30


class ServerStore:
    """All repositories on one server."""

    def __init__(self, settings: Settings, client: QdrantClient | None = None) -> None:
        self._locks = settings.home / "index" / "locks"
        self._prefix = settings.index.collection
        self._catalog = f"{self._prefix}-catalog"
        self._waiting = f"{self._prefix}-prepared"
        self._url = settings.index.qdrant_url
        key = os.environ.get(settings.index.qdrant_api_key_variable)
        self._client = client or QdrantClient(url=self._url, api_key=key, timeout=TIMEOUT_SECONDS, check_compatibility=False)

    def repositories(self) -> list[IndexedRepository]:
        """Return the current generation of each repository, by name."""
        with self._answering():
            if not self._client.collection_exists(self._catalog):
                return []
            found: list[IndexedRepository] = []
            offset: Any = None
            while True:
                records, offset = self._client.scroll(
                    self._catalog, limit=BATCH, offset=offset, with_payload=["record", "indexed_at"]
                )
                found += [_indexed(record.payload or {}) for record in records]
                if offset is None:
                    return sorted(found, key=lambda record: record.name)

    def version(self, repo: str) -> object | None:
        """Return what changes with every switch; None when the repository is not indexed."""
        entry = self._entry(repo, ["record"])
        return entry["record"]["generation"] if entry else None

    def open(self, repo: str) -> ServerGeneration:
        """Open the current generation. Raises NotIndexedError, UnavailableError."""
        entry = self._entry(repo, True)
        if entry is None:
            raise NotIndexedError(f"no repository {repo!r} is indexed; `cia index SOURCE` adds one")
        return ServerGeneration(self, entry)

    @contextmanager
    def writing(self, repo: str, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the only right on this machine to change ``repo``; a second process waits for it, telling ``on_wait``."""
        lock = self._locks / f"{uuid.uuid5(uuid.NAMESPACE_URL, repo)}.lock"
        with exclusive(lock, f"indexing {repo}", LOCK_WAIT_SECONDS, on_wait):
            yield

    def prepared(self, repo: str) -> ServerGeneration | None:
        """Open the generation that waits for the switch, None when there is none."""
        entry = self._entry(repo, True, self._waiting)
        return ServerGeneration(self, entry) if entry and _number(entry) > _number(self._entry(repo, ["record"])) else None

    @contextmanager
    def writer(
        self, repo: str, previous: Generation | None, model: str, dimensions: int, ahead: bool = False
    ) -> Iterator[GenerationWriter]:
        """Yield a writer of the next generation, which starts with the points of ``previous``; only within ``writing``.

        What it publishes is current at once, or, ``ahead``, waits for the switch.
        """
        entry = self._entry(repo, ["record", "collection"])
        visible = _number(entry)
        number = int(previous.record.generation) if previous else visible
        collection = f"{self._prefix}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', model)}"
        if number == visible:
            self.forget_prepared(repo)
        with self._answering():
            self._create(collection, dimensions)
            writer = ServerWriter(self._client, collection, self._waiting if ahead else self._catalog, repo, number, visible)
            writer.take_back_unfinished()
            if previous is None:
                writer.end_all()
            yield writer
            if not ahead and entry:
                self._drop_elsewhere(repo, entry["collection"], collection)

    def forget_prepared(self, repo: str) -> None:
        """Remove what waits for the switch, if anything does; only within ``writing``."""
        entry = self._entry(repo, ["collection"], self._waiting)
        if entry is not None:
            visible = _number(self._entry(repo, ["record"]))
            with self._answering():
                self._client.delete(self._waiting, models.PointIdsList(points=[catalog_id(repo)]), wait=True)
                ServerWriter(self._client, entry["collection"], self._waiting, repo, visible, visible).take_back_unfinished()

    def switch(self, states: Mapping[str, str]) -> None:
        """Make what is prepared of each repository current, all in one step.

        One that is current already is left as it is. Raises OperationError, and switches nothing, when one is not there.
        """
        with ExitStack() as locks:
            for repo in sorted(states):
                locks.enter_context(self.writing(repo))
            old = {repo: self._entry(repo, ["record", "collection"]) for repo in states}
            new = {repo: self._entry(repo, True, self._waiting) for repo in states}
            chosen = to_switch(_records(old), _records(new), states)
            entries = {repo: entry for repo, entry in new.items() if repo in chosen and entry}
            with self._answering():
                for batch in _that_fit_one_request(entries):
                    self._client.upsert(self._catalog, [_catalog_point(repo, entries[repo]) for repo in batch], wait=True)
                for repo, entry in entries.items():
                    self._client.delete(self._waiting, models.PointIdsList(points=[catalog_id(repo)]), wait=True)
                    if former := old[repo]:
                        self._drop_elsewhere(repo, former["collection"], entry["collection"])

    def confirm(self, repo: str) -> None:
        """Write down that ``repo`` is up to date as of now; only within ``writing``."""
        with self._answering():
            self._client.set_payload(self._catalog, {"indexed_at": time.time()}, [catalog_id(repo)], wait=True)

    def remove(self, repo: str) -> None:
        """Forget a repository. Raises NotIndexedError."""
        entry = self._entry(repo, ["collection"])
        if entry is None:
            raise NotIndexedError(f"no repository {repo!r} is indexed")
        with self.writing(repo), self._answering():
            self.forget_prepared(repo)
            self._client.delete(self._catalog, models.PointIdsList(points=[catalog_id(repo)]))
            self._client.delete(entry["collection"], models.FilterSelector(filter=_filter([_match("repo", [repo])])))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (ResponseHandlingException, httpx.TransportError, ConnectionError) as error:
            raise UnavailableError(f"Qdrant does not answer at {self._url}; start it, or try again") from error
        except UnexpectedResponse as error:
            if error.status_code in (502, 503, 504):
                raise UnavailableError(f"Qdrant at {self._url} is not ready (status {error.status_code}); try again") from error
            raise OperationError(
                f"Qdrant at {self._url} refused with status {error.status_code}: {error.reason_phrase}"
            ) from error
        except ApiException as error:
            raise OperationError(f"Qdrant at {self._url} failed: {' '.join(str(error).split())[:200]}") from error

    def _entry(self, repo: str, fields: list[str] | bool, catalog: str | None = None) -> dict[str, Any] | None:
        catalog = catalog or self._catalog
        with self._answering():
            if not self._client.collection_exists(catalog):
                return None
            found = self._client.retrieve(catalog, [catalog_id(repo)], with_payload=fields)
            return found[0].payload if found else None

    def _drop_elsewhere(self, repo: str, former: str, collection: str) -> None:
        """Remove the points of a repository from the collection of the model that it no longer uses."""
        if former != collection:
            self._client.delete(former, models.FilterSelector(filter=_filter([_match("repo", [repo])])))

    def _create(self, collection: str, dimensions: int) -> None:
        for catalog in (self._catalog, self._waiting):
            if not self._client.collection_exists(catalog):
                self._client.create_collection(catalog, vectors_config={}, shard_number=1)
        if self._client.collection_exists(collection):
            return
        size = models.VectorParams(size=dimensions, distance=models.Distance.DOT)
        self._client.create_collection(
            collection,
            vectors_config=dict.fromkeys(DENSE.values(), size),
            sparse_vectors_config={name: models.SparseVectorParams() for name in SPARSE.values()},
        )
        for field in (*KEYWORDS, *INTEGERS):
            kind = models.PayloadSchemaType.KEYWORD if field in KEYWORDS else models.PayloadSchemaType.INTEGER
            self._client.create_payload_index(collection, field, kind)


@dataclass(frozen=True, slots=True)
class _Validity:
    """The points of one repository that one generation sees."""

    repo: str
    generation: int

    def conditions(self) -> list[models.Condition]:
        return [
            _match("repo", [self.repo]),
            models.FieldCondition(key="valid_from", range=models.Range(lte=self.generation)),
            models.FieldCondition(key="valid_to", range=models.Range(gt=self.generation)),
        ]


class ServerGeneration:
    """One generation, open for reading from any thread."""

    def __init__(self, store: ServerStore, entry: dict[str, Any]) -> None:
        self.record = _indexed(entry)
        self.lexicon = _unpack_lexicon(entry["lexicon"])
        self._packed_manifest: str = entry["manifest"]
        self._manifest: Manifest | None = None
        self._store = store
        self._collection: str = entry["collection"]
        self._valid = _Validity(self.record.name, int(self.record.generation))

    def manifest(self) -> Manifest:
        """Return which files and points this generation is made of."""
        if self._manifest is None:
            stored = json.loads(zlib.decompress(base64.b64decode(self._packed_manifest)))
            self._manifest = Manifest({file: (blob, tuple(ids)) for file, (blob, ids) in stored.items()})
        return self._manifest

    def nearest(
        self, level: Level, vector: NDArray[np.float32] | SparseTerms, limit: int, condition: Condition
    ) -> list[tuple[int, float]]:
        """Return ids and scores, best first: cosines of a dense vector, BM25F of terms."""
        return self._query(level, vector, limit, [_match(field, values) for field, values in condition.matches.items()])

    def scores(self, level: Level, vector: NDArray[np.float32] | SparseTerms, ids: Sequence[int]) -> dict[int, float]:
        """Return the score of each of ``ids`` that has such a vector and, for terms, shares one."""
        return dict(self._query(level, vector, len(ids), [_match("point_id", ids)])) if ids else {}

    def matching(self, condition: Condition, limit: int) -> list[int]:
        """Return the ids of chunks whose payload matches, without an order."""
        conditions = [_match(field, values) for field, values in condition.matches.items()]
        records = self._scroll(conditions, limit, ["point_id"], False)
        return [int((record.payload or {})["point_id"]) for record in records]

    def payloads(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Return the payload of each of ``ids``."""
        records = self._scroll([_match("point_id", ids)], len(ids), True, False) if ids else []
        return {int((record.payload or {})["point_id"]): record.payload or {} for record in records}

    def points(self, ids: Sequence[int]) -> dict[int, StoredPoint]:
        """Return whole points, vectors too."""
        records = self._scroll([_match("point_id", ids)], len(ids), True, True) if ids else []
        return {point.id: point for point in map(_stored_point, records)}

    def _query(
        self, level: Level, vector: NDArray[np.float32] | SparseTerms, limit: int, conditions: Sequence[models.Condition]
    ) -> list[tuple[int, float]]:
        if isinstance(vector, SparseTerms) and not len(vector.ids):
            return []
        dense = not isinstance(vector, SparseTerms)
        with self._store._answering():
            response = self._store._client.query_points(
                self._collection,
                query=vector.tolist() if not isinstance(vector, SparseTerms) else _sparse(vector),
                using=DENSE[level] if dense else SPARSE[level],
                query_filter=_filter([*self._valid.conditions(), *conditions]),
                search_params=models.SearchParams(exact=True),
                with_payload=["point_id"],
                limit=limit,
            )
        return [(int((point.payload or {})["point_id"]), point.score) for point in response.points]

    def _scroll(
        self, conditions: Sequence[models.Condition], limit: int, payload: list[str] | bool, vectors: bool
    ) -> list[models.Record]:
        with self._store._answering():
            records, _ = self._store._client.scroll(
                self._collection,
                scroll_filter=_filter([*self._valid.conditions(), *conditions]),
                limit=limit,
                with_payload=payload,
                with_vectors=vectors,
            )
        return records


class ServerWriter:
    """The generation after ``number``, while it is built; ``visible`` is the one that readers see."""

    def __init__(self, client: QdrantClient, collection: str, catalog: str, repo: str, number: int, visible: int) -> None:
        self.generation = str(number + 1)
        self._client = client
        self._collection = collection
        self._catalog = catalog
        self._repo = repo
        self._next = number + 1
        self._visible = visible

    def take_back_unfinished(self) -> None:
        """Undo what a killed writer left, and drop points that no reader can see any more."""
        repo = _match("repo", [self._repo])
        begun = models.FieldCondition(key="valid_from", range=models.Range(gte=self._next))
        ended = models.FieldCondition(key="valid_to", range=models.Range(gte=self._next, lt=OPEN_END))
        gone = models.FieldCondition(key="valid_to", range=models.Range(lte=self._visible))
        for stale in (begun, gone):
            self._client.delete(self._collection, models.FilterSelector(filter=_filter([repo, stale])))
        self._end(OPEN_END, [repo, ended])

    def end_all(self) -> None:
        """Take every point out: this generation starts from nothing."""
        self._end(self._next, [_match("repo", [self._repo])])

    def delete(self, ids: Sequence[int]) -> None:
        """Take points out."""
        if ids:
            self._end(self._next, [*_Validity(self._repo, self._next - 1).conditions(), _match("point_id", ids)])

    def upsert(self, points: Iterable[StoredPoint]) -> None:
        """Put points in, replacing those with the same id."""
        rest = iter(points)
        while batch := list(islice(rest, BATCH)):
            self.delete([point.id for point in batch])
            self._client.upsert(self._collection, [self._point(point) for point in batch], wait=True)

    def publish(self, record: IndexedRepository, lexicon: Lexicon, manifest: Manifest) -> None:
        """Switch, or let it wait for the switch: readers see this generation once it is in the catalog."""
        payload = {
            "record": record.as_json(),
            "indexed_at": time.time(),
            "collection": self._collection,
            "lexicon": _pack_lexicon(lexicon),
            "manifest": base64.b64encode(zlib.compress(json.dumps(manifest.files).encode())).decode(),
        }
        self._client.upsert(self._catalog, [_catalog_point(self._repo, payload)], wait=True)

    def _end(self, generation: int, conditions: list[models.Condition]) -> None:
        selector = models.FilterSelector(filter=_filter(conditions))
        self._client.set_payload(self._collection, {"valid_to": generation}, selector, wait=True)

    def _point(self, point: StoredPoint) -> models.PointStruct:
        vector: dict[str, Any] = {SPARSE[point.level]: _sparse(point.sparse)}
        if point.dense is not None:
            vector[DENSE[point.level]] = point.dense.tolist()
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._repo}\0{point.id}\0{self._next}"))
        valid = {"repo": self._repo, "point_id": point.id, "valid_from": self._next, "valid_to": OPEN_END}
        return models.PointStruct(id=identity, vector=vector, payload={**point.payload, **valid})


def _indexed(entry: dict[str, Any]) -> IndexedRepository:
    return IndexedRepository(**entry["record"], indexed_at=entry.get("indexed_at", 0.0))


def _number(entry: dict[str, Any] | None) -> int:
    return int(entry["record"]["generation"]) if entry else 0


def _records(entries: Mapping[str, dict[str, Any] | None]) -> dict[str, IndexedRepository | None]:
    return {repo: _indexed(entry) if entry else None for repo, entry in entries.items()}


def _catalog_point(repo: str, entry: dict[str, Any]) -> models.PointStruct:
    return models.PointStruct(id=catalog_id(repo), vector={}, payload=entry)


def _that_fit_one_request(entries: Mapping[str, dict[str, Any]]) -> Iterator[list[str]]:
    """The repositories in one batch, or in several when their entries are more than the server takes in a request."""
    batch: list[str] = []
    size = 0
    for repo, entry in entries.items():
        length = len(entry["lexicon"]) + len(entry["manifest"])
        if batch and size + length > REQUEST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(repo)
        size += length
    if batch:
        yield batch


def catalog_id(repo: str) -> str:
    """Return the id of a repository's point in the catalog."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, repo))


def _stored_point(record: models.Record) -> StoredPoint:
    vectors: Any = record.vector
    payload = dict(record.payload or {})
    level: Level = "chunk" if SPARSE["chunk"] in vectors else "file"
    sparse, dense = vectors[SPARSE[level]], vectors.get(DENSE[level])
    identity = int(payload.pop("point_id"))
    for field in ("repo", "valid_from", "valid_to"):
        payload.pop(field)
    terms = SparseTerms(np.asarray(sparse.indices, np.uint32), np.asarray(sparse.values, np.float32))
    return StoredPoint(identity, level, None if dense is None else np.asarray(dense, np.float32), terms, payload)


def _match(field: str, values: Sequence[Any]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))


def _filter(conditions: Sequence[models.Condition]) -> models.Filter:
    return models.Filter(must=list(conditions))


def _sparse(terms: SparseTerms) -> models.SparseVector:
    return models.SparseVector(indices=terms.ids.tolist(), values=terms.weights.tolist())


def _pack_lexicon(lexicon: Lexicon) -> str:
    file = io.BytesIO()
    np.savez_compressed(file, ids=lexicon.ids, counts=lexicon.counts, documents=np.int64(lexicon.documents))
    return base64.b64encode(file.getvalue()).decode()


def _unpack_lexicon(packed: str) -> Lexicon:
    with np.load(io.BytesIO(base64.b64decode(packed))) as stored:
        return Lexicon(stored["ids"], stored["counts"], int(stored["documents"]))
