"""Progress on stderr: a bar on a terminal, a line per stage anywhere else."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from cia.progress import Progress, silent

QUIET_SECONDS = 5.0
"""Without a terminal, a stage that goes on is mentioned this often."""


@contextlib.contextmanager
def progress_line(title: str, show: bool = True) -> Iterator[Progress]:
    """Yield a Progress that draws below ``title`` until the block ends; silent when ``show`` is false."""
    if not show:
        yield silent
    elif sys.stderr.isatty():
        with _bar(title) as progress:
            yield progress
    else:
        yield _lines(title)


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def progress(stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title}: {stage}", completed=done, total=total or None)

        yield progress


def _lines(title: str) -> Progress:
    last_stage, last_time = "", 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last_stage, last_time
        if stage == last_stage and time.monotonic() - last_time < QUIET_SECONDS:
            return
        last_stage, last_time = stage, time.monotonic()
        count = f" {done}/{total}" if total else f" {done}" if done else ""
        print(f"{title}: {stage}{count}", file=sys.stderr, flush=True)

    return progress
