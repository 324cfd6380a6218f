"""What a training job prints, read line by line: progress for whoever watches, and the cause if it fails."""

from __future__ import annotations

import json
from collections import deque

from cia.errors import OperationError
from cia.progress import Progress

LINES_KEPT = 30
LINES_TOLD = 5


class JobOutput:
    """Takes the lines of one job. A line of JSON with a ``stage`` is progress; the rest is kept for the cause."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last_lines: deque[str] = deque(maxlen=LINES_KEPT)

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
        if line:
            self._last_lines.append(line)

    def failure(self, job: str) -> OperationError:
        """Return the error for a job that failed: the cause that it named, or its last lines."""
        named = [line.removeprefix("error: ") for line in self._last_lines if line.startswith("error: ")]
        if named:
            return OperationError(f"{job} failed: {named[-1]}")
        if any(line.endswith("Killed") or " code 137 " in line for line in self._last_lines):
            return OperationError(
                f"{job} was killed, most likely for want of memory; "
                "lower training.batch_size or training.max_tokens and run it again"
            )
        return OperationError(f"{job} failed: {' | '.join(list(self._last_lines)[-LINES_TOLD:]) or 'it printed nothing'}")
