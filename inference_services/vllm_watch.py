"""What can be wrong with a vLLM that runs: it answers no more, or it has grown too large. Each is one sentence."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import httpx
import psutil

CHECKS_PER_SILENCE = 10
"""Health is asked ten times before silence counts as a hang, and each time it may take a fifth of that span."""

FEWEST_MISSES = 3
"""Fewer questions without an answer are no hang, whatever the clock says: this process itself may have been stopped."""

MEMORY_SECONDS = 5.0
GIB = 2**30


class HealthWatch:
    """Asks ``/health`` now and then. On a loaded CPU an answer may take seconds, so only a long silence counts."""

    def __init__(self, address: str, hang_seconds: float) -> None:
        self._url = f"{address}/health"
        self._limit = hang_seconds
        self._due = self._last_answer = time.monotonic()
        self._misses = 0

    def problem(self) -> str:
        """Return what is wrong, or "". Takes up to a fifth of the limit when nothing answers."""
        if time.monotonic() < self._due:
            return ""
        self._due = time.monotonic() + self._limit / CHECKS_PER_SILENCE
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(self._url, timeout=self._limit / 5).is_success:
                self._last_answer, self._misses = time.monotonic(), 0
                return ""
        self._misses += 1
        silent = time.monotonic() - self._last_answer
        if silent < self._limit or self._misses < FEWEST_MISSES:
            return ""
        return f"lives, but has not been healthy for {silent:.0f} s (serving.hang_seconds)"


class MemoryWatch:
    """Looks now and then how much memory a process and all below it take; without a limit it never minds."""

    def __init__(self, pid: int, limit_gib: float | None) -> None:
        self._pid = pid
        self._limit = limit_gib
        self._due = time.monotonic()

    def problem(self) -> str:
        """Return what is wrong, or ""."""
        if self._limit is None or time.monotonic() < self._due:
            return ""
        self._due = time.monotonic() + MEMORY_SECONDS
        taken = resident_gib(self._pid)
        return f"grew to {taken:.2f} GiB, beyond {self._limit:g} (serving.memory_limit_gib)" if taken > self._limit else ""


def resident_gib(pid: int) -> float:
    """Return the resident memory of a process and all below it, in GiB; shared pages count for each. 0 when it is gone."""
    try:
        process = psutil.Process(pid)
        return sum(_resident_bytes([process, *process.children(recursive=True)])) / GIB
    except psutil.NoSuchProcess:
        return 0.0


def _resident_bytes(processes: Iterable[psutil.Process]) -> Iterable[int]:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            yield process.memory_info().rss
