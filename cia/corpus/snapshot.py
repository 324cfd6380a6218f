"""A repository at one commit, as the assistant keeps it: immutable, and readable without git."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cia.corpus.text import decode, split_lines
from cia.errors import InputError, OperationError


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One accepted file. ``path`` is relative to the repository root with forward slashes; ``blob`` is its SHA-256."""

    path: str
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at ``commit``: the accepted files in path order, and how many were skipped for which reason.

    ``commit`` is the full git commit id, or the SHA-256 over paths and contents where there is no git.
    ``origin`` is the local folder it came from, if any: what a search compares to say that it has moved on.
    ``revision`` is the branch, tag or commit that was asked for; None is the folder as it was found (HEAD).
    """

    repo: str
    commit: str
    source: str
    origin: str | None
    blobs: Path
    files: tuple[SourceFile, ...]
    skipped: dict[str, int] = field(default_factory=dict, hash=False)
    revision: str | None = None
    _by_path: Mapping[str, SourceFile] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_path", {file.path: file for file in self.files})

    def has(self, path: str) -> bool:
        """Whether ``path`` is an accepted file at this commit."""
        return path in self._by_path

    def read_bytes(self, path: str) -> bytes:
        """Return the bytes of ``path`` at this commit.

        Raises InputError when the snapshot has no such file, OperationError when the stored content is damaged or gone.
        """
        file = self._by_path.get(path)
        if file is None:
            raise InputError(f"{self.repo} at {self.commit[:12]} has no indexed file {path!r}")
        try:
            data = self.blob_path(file.blob).read_bytes()
        except FileNotFoundError:
            data = None
        if data is None or hashlib.sha256(data).hexdigest() != file.blob:
            raise OperationError(
                f"the stored copy of {self.repo}/{path} is {'gone' if data is None else 'damaged'};"
                f" run `cia index {self.source}` again"
            )
        return data

    def lines(self, path: str, start: int, end: int) -> list[str]:
        """Return lines ``start`` to ``end`` of ``path`` (1-based, inclusive), as ``split_lines`` counts them.

        Raises InputError when the file is unknown or the range is not within it.
        """
        lines = split_lines(decode(self.read_bytes(path)))
        if not 1 <= start <= end <= len(lines):
            raise InputError(f"{self.repo}/{path} has lines 1 to {len(lines)}; {start} to {end} is not within them")
        return lines[start - 1 : end]

    def blob_path(self, blob: str) -> Path:
        """Where the content with this SHA-256 lies."""
        return self.blobs / blob[:2] / blob[2:]
