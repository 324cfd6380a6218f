"""The door that every file of every source passes: filtered, counted, and kept as a blob."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from cia.corpus import rules
from cia.corpus.blobs import BlobStore
from cia.corpus.snapshot import SourceFile
from cia.errors import SourceError


class Content(NamedTuple):
    """A stored content: its SHA-256 and its size in bytes."""

    blob: str
    size: int


Outcome = Content | str
"""A content that was stored, or the reason for which it was not."""


class Intake:
    """Collects the accepted files of one snapshot."""

    def __init__(self, blobs: BlobStore, max_file_bytes: int) -> None:
        self._blobs = blobs
        self._max_file_bytes = max_file_bytes
        self._files: dict[str, SourceFile] = {}
        self._skipped: Counter[str] = Counter()

    def wants(self, path: str, size: int) -> bool:
        """Whether the content of ``path`` should be read; counts it as skipped if not."""
        reason = rules.reason_to_skip_path(path) or (rules.TOO_LARGE if size > self._max_file_bytes else None)
        if reason:
            self.skip(reason)
        return reason is None

    def judge(self, data: bytes) -> Outcome:
        """Keep ``data`` if it is source text. What comes of it depends on the content alone, so it may be remembered."""
        return rules.reason_to_skip_content(data) or Content(self._blobs.write(data), len(data))

    def record(self, path: str, outcome: Outcome) -> None:
        """Accept ``path`` with a stored content, or count it as skipped."""
        if isinstance(outcome, str):
            self.skip(outcome)
        else:
            self._files[path] = SourceFile(path, outcome.blob, outcome.size)

    def skip(self, reason: str) -> None:
        """Count something that is left out."""
        self._skipped[reason] += 1

    @property
    def skipped(self) -> dict[str, int]:
        """How many were left out for which reason, in alphabetical order."""
        return dict(sorted(self._skipped.items()))

    def files(self, shown: str) -> tuple[SourceFile, ...]:
        """Return the accepted files in path order. Raises SourceError when there is nothing to index in them."""
        if not any(file.size for file in self._files.values()):
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items()) or "it is empty"
            raise SourceError(f"{shown} holds no source file to index ({reasons}); check that it is the right folder or revision")
        return tuple(self._files[path] for path in sorted(self._files))


def content_commit(files: Iterable[SourceFile]) -> str:
    """Return the SHA-256 that stands for a commit where there is no git: over the accepted paths and contents alone.

    It is the hash of what ``sha256sum`` prints for the files in path order, so anyone can check it.
    """
    listing = "".join(f"{file.blob}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    return hashlib.sha256(listing.encode()).hexdigest()
