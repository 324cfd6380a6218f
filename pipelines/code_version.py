"""A digest of the code that the cached steps run, so that a changed program never meets an old result."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

ROOMS = ("cia", "components", "runtimes")


@functools.cache
def code_version() -> str:
    """Return the first 16 hex digits of the SHA-256 over every source file of the rooms that steps import."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
