"""What a training job prints, read line by line: progress for whoever watches, and the cause if it fails."""

from __future__ import annotations

import json
from collections import deque

from cia.errors import OperationError
from cia.progress import Progress

LINES_KEPT = 30
LINES_TOLD = 5

NAMED = "error: "
"""Begins the line in which the entry point names the cause."""


class JobOutput:
    """Takes the lines of one job. A line of JSON with a ``stage`` is progress; the rest is kept for the cause."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._named = ""

    def take(self, line: str) -> None:
        """Read one line."""
        line = line.strip()
        if line.startswith('{"stage"'):
            try:
                event = json.loads(line)
                self._progress(event["stage"], event["done"], event["total"])
                return
            except (ValueError, KeyError):
                pass
        if line.startswith(NAMED):
            self._named = line.removeprefix(NAMED)  # kept apart: torchrun says more about it than is kept
        elif line:
            self._last_lines.append(line)

    @property
    def cause(self) -> str:
        """The cause that the job named, else its last lines; "" when it printed nothing."""
        return self._named or " | ".join(list(self._last_lines)[-LINES_TOLD:])

    def failure(self, job: str) -> OperationError:
        """Return the error for a job that failed: the cause that it named, or its last lines."""
        if not self._named and any(line.endswith("Killed") or " code 137 " in line for line in self._last_lines):
            return OperationError(
                f"{job} was killed, most likely for want of memory; "
                "raise training.gradient_accumulation or lower training.max_tokens and run it again"
            )
        return OperationError(f"{job} failed: {self.cause or 'it printed nothing'}")
