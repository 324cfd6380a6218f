"""What the steps of one run did, written down where they all can read it: a file of JSON lines on the home volume.

The run's id stands in the variable ``PIPELINE_RUN_ID``; without one nothing is written down.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from runtimes.train_jobs import RUN_VARIABLE

KEPT_DAYS = 30


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step ended: ``event`` is done or failed."""

    step: str
    event: str
    summary: str
    seconds: float


def write_down(home: Path, end: StepEnd) -> None:
    """Append ``end`` to the journal of this run. A full disk or a read-only one is no reason for a step to fail."""
    run = os.environ.get(RUN_VARIABLE, "")
    if run:
        with contextlib.suppress(OSError):
            journal = _journal(home, run)
            journal.parent.mkdir(parents=True, exist_ok=True)
            # One short write to a file opened for appending: steps that end at the same time do not mix.
            with journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(end)) + "\n")


def read_run(home: Path, run: str) -> list[StepEnd]:
    """Return how the steps of ``run`` ended, in that order; of a step that was tried again, every end."""
    try:
        lines = _journal(home, run).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    ends = []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):  # a write that was killed
            ends.append(StepEnd(**json.loads(line)))
    return ends


def forget_old_runs(home: Path) -> None:
    """Remove the journals of runs that ended more than KEPT_DAYS ago."""
    for journal in (home / "pipeline" / "runs").glob("*.jsonl"):
        with contextlib.suppress(OSError):
            if time.time() - journal.stat().st_mtime > KEPT_DAYS * 86_400:
                journal.unlink()


def _journal(home: Path, run: str) -> Path:
    return home / "pipeline" / "runs" / f"{re.sub(r'[^A-Za-z0-9_-]', '-', run)}.jsonl"
