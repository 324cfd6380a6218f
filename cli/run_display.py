"""Shows a pipeline run: a live line for the step at work, and a finished line for each step that is done."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.progress_line import QUIET_SECONDS


class RunDisplay(Protocol):
    """Gets the announcements of ``components.step`` and shows them."""

    def __call__(self, event: dict[str, Any]) -> None: ...


@contextlib.contextmanager
def run_display() -> Iterator[RunDisplay]:
    """Yield a display for the length of the block: live on a terminal, plain lines elsewhere. It writes to stdout."""
    if sys.stdout.isatty():
        with Live(console=Console(), refresh_per_second=10, transient=True) as live:
            yield _LiveDisplay(live)
    else:
        yield _PlainDisplay()


def finished_line(event: dict[str, Any]) -> str:
    """Return one line that says how a step ended."""
    name = f"{event['cia_step']:<17}"
    if event["event"] == "cached":
        return f"  = {name} unchanged, reused"
    mark = "ok" if event["event"] == "done" else "!!"
    return f" {mark} {name} {event['summary']} ({event['seconds']:.1f} s)"


class _PlainDisplay:
    def __init__(self) -> None:
        self._last = ("", 0.0)

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] in ("done", "failed", "cached"):
            print(finished_line(event), flush=True)
        elif event["event"] == "progress":
            stage, now = f"{event['cia_step']}: {event['stage']}", time.monotonic()
            if stage != self._last[0] or now - self._last[1] >= QUIET_SECONDS:
                self._last = (stage, now)
                count = f" {event['done']}/{event['total']}" if event["total"] else ""
                print(f"    {stage}{count}", flush=True)


class _LiveDisplay:
    def __init__(self, live: Live) -> None:
        self._live = live
        self._spinner = Spinner("dots")

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] in ("done", "failed", "cached"):
            colour = {"done": "green", "failed": "red", "cached": "cyan"}[event["event"]]
            self._live.console.print(Text(finished_line(event), style=colour if event["event"] == "failed" else ""))
            self._live.update(Text(""))
            return
        row = Table.grid(padding=(0, 1))
        stage = event.get("stage", "starting")
        cells: list[Any] = [self._spinner, Text(f"{event['cia_step']:<17} {stage}")]
        if event.get("total"):
            cells += [
                ProgressBar(total=event["total"], completed=event["done"], width=30),
                Text(f"{event['done']}/{event['total']}"),
            ]
        row.add_row(*cells)
        self._live.update(row)
