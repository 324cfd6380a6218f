"""The seam between searching and where vectors lie: an embedded index or a Qdrant server, chosen once.

A *generation* is a repository at one commit as it was indexed: immutable. Readers open the current generation of each
repository and keep to it for the whole search; a writer builds the next one aside and switches with a single atomic step.
Generations of several repositories can be *prepared*, whole but seen by nobody, and then switched together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cia.errors import OperationError
from cia.retrieval.sparse import Lexicon, SparseTerms

SCHEMA_VERSION = 2
"""Raised when what a stored point holds changes: an index of another version is made anew, never misread."""


@dataclass(frozen=True, slots=True)
class IndexedRepository:
    """The current generation of one repository. ``embedded`` of its ``chunks`` have a dense vector already.

    ``indexed_at`` is when a run last published it or found that nothing had changed: seconds since the epoch, 0 where nobody
    wrote it down. The store keeps it beside the record, which changes only with the generation.
    """

    name: str
    commit: str
    files: int
    chunks: int
    embedding_model: str
    generation: str
    schema_version: int
    chunking: str
    embedded: int
    indexed_at: float = 0.0

    @property
    def state(self) -> str:
        """What a repository is switched to: a server counts its generations, so that a number alone may come twice."""
        return f"{self.generation}@{self.commit}"

    def as_json(self) -> dict[str, Any]:
        """Return what is written down with the generation."""
        return {name: value for name, value in asdict(self).items() if name != "indexed_at"}


Level = Literal["chunk", "file"]
"""A chunk is found and cited; a file is only scored, to lift its chunks. Each level has vectors of its own, so neither
search ever meets a point of the other."""


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A chunk or file as it is stored. ``dense`` is None while a slow embedding model has not come to it yet."""

    id: int
    level: Level
    dense: NDArray[np.float32] | None
    sparse: SparseTerms
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation was made of: for each file its content's hash and the ids of its chunks, then its own."""

    files: dict[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Condition:
    """Limits on a look-up, applied inside the engine: a point must match each field that is given."""

    matches: Mapping[str, Sequence[str]]


NO_CONDITION = Condition({})


class Generation(Protocol):
    """One generation, open for reading. All methods may be called from several threads."""

    record: IndexedRepository

    @property
    def lexicon(self) -> Lexicon: ...
    def manifest(self) -> Manifest: ...
    def nearest(
        self, level: Level, vector: NDArray[np.float32] | SparseTerms, limit: int, condition: Condition
    ) -> list[tuple[int, float]]: ...
    def scores(self, level: Level, vector: NDArray[np.float32] | SparseTerms, ids: Sequence[int]) -> dict[int, float]: ...
    def matching(self, condition: Condition, limit: int) -> list[int]: ...
    def payloads(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]: ...
    def points(self, ids: Sequence[int]) -> dict[int, StoredPoint]: ...


class GenerationWriter(Protocol):
    """The next generation while it is built. Nothing of it is visible before ``publish``."""

    generation: str

    def delete(self, ids: Sequence[int]) -> None: ...
    def upsert(self, points: Iterable[StoredPoint]) -> None: ...
    def publish(self, record: IndexedRepository, lexicon: Lexicon, manifest: Manifest) -> None: ...


class Store(Protocol):
    """All repositories of one place."""

    def repositories(self) -> list[IndexedRepository]: ...
    def version(self, repo: str) -> object | None: ...
    def open(self, repo: str) -> Generation: ...
    def writing(self, repo: str, on_wait: Callable[[str], None] | None = None) -> AbstractContextManager[None]: ...
    def writer(
        self, repo: str, previous: Generation | None, model: str, dimensions: int, ahead: bool = False
    ) -> AbstractContextManager[GenerationWriter]: ...
    def prepared(self, repo: str) -> Generation | None: ...
    def forget_prepared(self, repo: str) -> None: ...
    def switch(self, states: Mapping[str, str]) -> None: ...
    def confirm(self, repo: str) -> None: ...
    def remove(self, repo: str) -> None: ...
    def close(self) -> None: ...


Named = Mapping[str, IndexedRepository | None]


def to_switch(current: Named, prepared: Named, states: Mapping[str, str]) -> dict[str, IndexedRepository]:
    """Return the prepared records of ``states`` that are not current yet. Raises OperationError when one is missing."""
    records: dict[str, IndexedRepository] = {}
    for repo, state in states.items():
        now, waiting = current[repo], prepared[repo]
        if now is not None and now.state == state:
            continue
        if waiting is None or waiting.state != state:
            raise OperationError(f"{repo} was indexed again since it was prepared; nothing is switched: run it again")
        records[repo] = waiting
    return records


def point_id(content: str) -> int:
    """Return the 63-bit id of the point with this content."""
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big") >> 1


@lru_cache(maxsize=1 << 15)
def file_point_id(path: str) -> int:
    """Return the id of the point of a whole file."""
    return point_id(f"file\0{path}")
