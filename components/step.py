"""How a step says what it is doing, and the settings it works with.

A step announces itself in JSON lines on stdout: readable in the log of a pod, and what a local run draws its live line from.
"""

from __future__ import annotations

import contextlib
import json
import time
from types import TracebackType
from typing import Any

from cia.errors import CiaError
from cia.settings import Settings, load_settings
from components.run_journal import StepEnd, write_down

EVENT_KEY = "cia_step"
"""Marks a line of stdout as an announcement: ``{"cia_step": name, "event": "start|progress|done|failed", ...}``."""

PROGRESS_EVERY_SECONDS = 0.5


def read_event(line: str) -> dict[str, Any] | None:
    """Return the announcement in a line of a step's output, None when there is none."""
    start = line.find(f'{{"{EVENT_KEY}"')
    if start < 0:
        return None
    try:
        event = json.loads(line[start:])
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


class Step:
    """Announces the start, the progress and the end of a step; use it as a context manager around the work.

    The end also goes into the journal of the run, which ``report_run`` reads.

    ``progress`` fits ``cia.progress.Progress``. ``summary`` is what the step did, in a few words. An error is announced
    with its message.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.summary = ""
        self._last = ("", 0.0)

    def __enter__(self) -> Step:
        self._started = time.monotonic()
        self._announce("start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        seconds = round(time.monotonic() - self._started, 2)
        event = "done" if error is None else "failed"
        summary = self.summary if error is None else _told(error)
        self._announce(event, summary=summary, seconds=seconds)
        with contextlib.suppress(CiaError):  # settings that cannot be read are what this step failed by
            write_down(load_settings().home, StepEnd(self.name, event, summary, seconds))

    def progress(self, stage: str, done: int, total: int) -> None:
        """Announce how far the work is, at most twice a second and at every new stage."""
        last_stage, last_time = self._last
        now = time.monotonic()
        if stage != last_stage or done == total or now - last_time >= PROGRESS_EVERY_SECONDS:
            self._last = (stage, now)
            self._announce("progress", stage=stage, done=done, total=total)

    def _announce(self, event: str, **details: Any) -> None:
        print(json.dumps({EVENT_KEY: self.name, "event": event, **details}), flush=True)


def _told(error: BaseException) -> str:
    if not isinstance(error, Exception):
        return "stopped from outside"
    return " ".join(str(error).split()) or type(error).__name__


def settings_with(**groups: dict[str, Any]) -> Settings:
    """Return the settings of this environment with whole groups replaced by those that the run was submitted with."""
    settings = load_settings()
    sections = {name: type(getattr(settings, name)).model_validate(group) for name, group in groups.items()}
    return settings.model_copy(update=sections)
