"""Contents by their SHA-256, shared by all commits of a repository: ``blobs/ab/cdef...``.

A blob appears by rename(2), whole or not at all, so a killed process leaves no half of one. It is not flushed to disk by
itself: 400 flushes cost over a second, and after a kill the kernel still holds the pages. A power cut can lose or empty blobs
that a manifest already names; ``holds`` finds them by their hash when the commit is added again, and reading one says so.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from cia.durable_files import STAGING_MARK, disk_errors


class BlobStore:
    """The blobs of one repository. Writers hold the repository's lock; readers need none."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._staging = directory / f"{STAGING_MARK}{uuid.uuid4().hex[:8]}"

    def path(self, blob: str) -> Path:
        """Where the content with this SHA-256 lies."""
        return self.directory / blob[:2] / blob[2:]

    def write(self, data: bytes) -> str:
        """Keep ``data`` and return its SHA-256. Raises OperationError when the disk refuses."""
        blob = hashlib.sha256(data).hexdigest()
        path = self.path(blob)
        with disk_errors(self.directory):
            if not self.holds(blob, len(data)):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._staging.write_bytes(data)
                os.replace(self._staging, path)
        return blob

    def holds(self, blob: str, size: int) -> bool:
        """Whether the content with this SHA-256 is stored undamaged. Reads it."""
        try:
            data = self.path(blob).read_bytes()
        except FileNotFoundError:
            return False
        return len(data) == size and hashlib.sha256(data).hexdigest() == blob

    def sweep(self, keep: set[str]) -> int:
        """Remove every blob that is not in ``keep``; return how many that were."""
        removed = 0
        for path in self.directory.glob("??/*"):
            if path.parent.name + path.name not in keep:
                path.unlink(missing_ok=True)
                removed += 1
        return removed
