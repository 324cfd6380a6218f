"""The log of a process that runs for weeks: what it says last is always there, and the disk never fills with it.

Two files: ``vllm.log``, which the process appends to, and ``vllm.log.1``, which holds what stood before. The process has the
first one open, so it is copied and cut (as logrotate's ``copytruncate`` does), not renamed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

from cia.durable_files import replace_bytes
from cia.errors import OperationError

LARGEST_BYTES = 10 * 2**20
KEPT_BYTES = 64 * 2**10
"""So much of the end stays in the log when the rest moves out of it: enough for a long traceback."""

MARK = "--- "
"""Begins a line that is ours, not the process's."""

POINTS_ELSEWHERE = "root cause"
"""In the last line of a vLLM whose engine died: that error is not the one to show."""


class BoundedLog:
    """The log at ``path``: at most ``largest`` bytes, and as many in the file before it."""

    def __init__(self, path: Path, largest: int = LARGEST_BYTES) -> None:
        self.path = path
        self.before = path.with_name(f"{path.name}.1")
        self._largest = largest

    def begin(self) -> None:
        """Start an empty log; what the run before this one left is the file before it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.path, self.before)

    def open(self) -> IO[bytes]:
        """Return the file for a process to write to. It must only append, or a cut would leave a hole."""
        return self.path.open("ab")

    def note(self, sentence: str) -> None:
        """Add a line of our own. A disk that is full does not keep the process from being watched."""
        with contextlib.suppress(OSError), self.open() as log:
            log.write(f"\n{MARK}{sentence}\n".encode())

    def trim(self) -> None:
        """Move all but the end out of a log that has grown too large. What is written meanwhile may be lost."""
        with contextlib.suppress(OSError):
            if self.path.stat().st_size <= self._largest:
                return
            written = self._end(self._largest)
            os.truncate(self.path, 0)
            with self.open() as log:
                log.write(written[-KEPT_BYTES:].partition(b"\n")[2])
            with contextlib.suppress(OperationError):
                replace_bytes(self.before, written)

    def last_words(self, lines: int = 15) -> tuple[str, list[str]]:
        """Return the line that names the error, and the last lines, of what the process wrote since our last note."""
        try:
            text = self._end(KEPT_BYTES).decode(errors="replace")
        except OSError:
            text = ""
        _, mark, rest = text.rpartition(f"\n{MARK}")
        words = (rest.partition("\n")[2] if mark else rest).rstrip().splitlines()
        errors = [line.strip() for line in words if "Error" in line]
        cause = next((line for line in reversed(errors) if POINTS_ELSEWHERE not in line), "no error message")
        return cause, words[-lines:]

    def _end(self, size: int) -> bytes:
        with self.path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - size))
            return log.read()
