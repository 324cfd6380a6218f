"""A repository at one commit, as the assistant keeps it: immutable, and readable without git."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cia.errors import InputError


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One accepted file. ``path`` is relative to the repository root with forward slashes; ``blob`` is its SHA-256."""

    path: str
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at ``commit``: the accepted files, and how many were skipped for which reason.

    ``commit`` is the full git commit id, or the SHA-256 over paths and contents where there is no git.
    ``origin`` is the local folder it came from, if any: what a search compares to say that it has moved on.
    """

    repo: str
    commit: str
    source: str
    origin: str | None
    blobs: Path
    files: tuple[SourceFile, ...]
    skipped: dict[str, int] = field(default_factory=dict)

    def read_bytes(self, path: str) -> bytes:
        """Return the bytes of ``path`` at this commit. Raises InputError when the snapshot has no such file."""
        for file in self.files:
            if file.path == path:
                return self.blob_path(file.blob).read_bytes()
        raise InputError(f"{self.repo} at {self.commit[:12]} has no indexed file {path!r}")

    def blob_path(self, blob: str) -> Path:
        """Where the content with this SHA-256 lies."""
        return self.blobs / blob[:2] / blob[2:]
