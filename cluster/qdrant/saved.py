"""Snapshots on the volume: a folder each, named by the time it was taken, complete or not there.

``20261121T023000Z/snapshot.json`` lists the files beside it with their checksums. A folder without that list does not count.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from cia.durable_files import replace_text
from cia.errors import InputError, OperationError

LIST = "snapshot.json"
NAME = "%Y%m%dT%H%M%SZ"
LOCK = ".lock"
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class SavedFile:
    """``file`` holds what node number ``node`` had of ``collection``."""

    collection: str
    node: int
    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SavedSnapshot:
    """The index of ``nodes`` servers of version ``qdrant``. ``files`` stand in the order in which they were taken."""

    folder: Path
    nodes: int
    qdrant: str
    files: tuple[SavedFile, ...]

    @property
    def name(self) -> str:
        """When it was taken, in UTC."""
        return self.folder.name

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)

    def check(self) -> None:
        """Read every file again. Raises OperationError for the first that is not what was saved."""
        for file in self.files:
            path = self.folder / file.file
            if not path.is_file():
                raise OperationError(f"{path} is missing; restore another snapshot")
            if path.stat().st_size != file.bytes or sha256_of(path) != file.sha256:
                raise OperationError(f"{path} is not what was saved: its checksum differs; restore another snapshot")


def write_list(folder: Path, nodes: int, qdrant: str, files: list[SavedFile]) -> None:
    """Write the list that makes ``folder`` a snapshot."""
    listed = {"nodes": nodes, "qdrant": qdrant, "files": [asdict(file) for file in files]}
    replace_text(folder / LIST, json.dumps(listed, indent=1) + "\n")


def saved_snapshots(root: Path) -> list[SavedSnapshot]:
    """Return the snapshots below ``root``, the oldest first."""
    return [_read(listed) for listed in sorted(root.glob(f"[0-9]*Z/{LIST}"))]


def find(root: Path, name: str) -> SavedSnapshot:
    """Return the snapshot ``name``, or the newest for ``latest``. Raises InputError that names those there are."""
    saved = saved_snapshots(root)
    if name == LATEST and saved:
        return saved[-1]
    for snapshot in saved:
        if snapshot.name == name:
            return snapshot
    there = ", ".join(snapshot.name for snapshot in saved) or "none"
    raise InputError(f"there is no snapshot {name!r} in {root}; there are: {there}")


def keep_newest(root: Path, count: int) -> list[str]:
    """Delete all but the newest ``count``, and what a killed deletion left; return the names of those deleted."""
    gone = saved_snapshots(root)[:-count]
    for snapshot in gone:
        # Without its list a half-deleted folder is no snapshot.
        (snapshot.folder / LIST).unlink()
    for folder in root.glob("[0-9]*Z"):
        if not (folder / LIST).exists():
            shutil.rmtree(folder)
    return [snapshot.name for snapshot in gone]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> SavedSnapshot:
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(SavedFile(**file) for file in listed["files"])
        return SavedSnapshot(path.parent, listed["nodes"], listed["qdrant"], files)
    except (ValueError, KeyError, TypeError) as error:
        raise OperationError(f"{path} is no list of a snapshot; delete {path.parent} and restore another") from error
