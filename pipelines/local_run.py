"""Run the pipeline on this machine through ``kfp.local``, watched: what each step does, and why it failed if it did."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cia.durable_files import exclusive
from cia.errors import OperationError
from cia.leash import Leashed
from cia.settings import Settings, for_child_process
from components.step import read_event
from pipelines.arguments import pipeline_arguments
from pipelines.local_process import pipeline_state
from runtimes.train_jobs import RUN_VARIABLE

Observer = Callable[[dict[str, Any]], None]
"""Gets every announcement of a step (see ``components.step``), and ``{"event": "cached"}`` for a step that was reused."""

CACHED = re.compile(r"Task (?P<task>[a-z0-9-]+) cache hit")
FAILED = "finished with status FAILURE"
"""kfp.local says so after the step's own output; what follows is about kfp."""

ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt)\b")
COLOUR = re.compile(r"\x1b\[\d+m")
LOGS_KEPT = 20


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: seconds by the wall clock, the summary of each step by its name, and the log with all output."""

    seconds: float
    steps: dict[str, str]
    log: Path


def run_locally(settings: Settings, observe: Observer | None = None) -> RunResult:
    """Run the whole pipeline here and return what it did.

    Raises OperationError that names the failed step, its cause and the log; BusyError while another run goes on.
    However this ends, Ctrl-C and kill -9 included, no step outlives it.
    """
    state = pipeline_state(settings)
    started = time.monotonic()
    with exclusive(state / "run.lock", "running the pipeline"):
        log = _new_log(settings)
        arguments = json.dumps(pipeline_arguments(settings))
        run = Leashed(
            [sys.executable, "-u", "-m", "pipelines.local_process", arguments],
            # Two threads that a busy machine keeps apart wait for each other many times longer than one works alone.
            environment={"OMP_NUM_THREADS": "1"} | for_child_process(settings, state) | {RUN_VARIABLE: log.stem},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            steps, cause = _watch(_lines_of(run, log), observe or (lambda _: None))
            code = run.wait()
        finally:
            run.stop()
    if code != 0:
        raise OperationError(f"the pipeline failed: {cause}; all output is in {log}")
    return RunResult(round(time.monotonic() - started, 1), steps, log)


def _lines_of(run: Leashed, log: Path) -> Iterator[str]:
    assert run.process.stdout
    with log.open("w", encoding="utf-8") as file:
        for raw in run.process.stdout:
            line = raw.decode("utf-8", errors="replace")
            file.write(line)
            file.flush()
            yield COLOUR.sub("", line).strip()


def _watch(lines: Iterator[str], observe: Observer) -> tuple[dict[str, str], str]:
    """Return the steps' summaries and, for a failed run, its cause in one line."""
    steps: dict[str, str] = {}
    failure = ""
    last: deque[str] = deque(maxlen=40)
    for line in lines:
        event = read_event(line)
        if event is None:
            if FAILED in line:
                failure = failure or _cause(last)
            elif line:
                last.append(line)
            if cached := CACHED.search(line):
                name = cached["task"].replace("-", "_")
                steps[name] = "unchanged, reused"
                observe({"cia_step": name, "event": "cached"})
            continue
        observe(event)
        if event["event"] == "done":
            former = steps.get(event["cia_step"])  # a step of each repository
            steps[event["cia_step"]] = f"{former}, {event['summary']}" if former else event["summary"]
        elif event["event"] == "failed":
            failure = f"{event['cia_step']}: {event['summary']}"
    return steps, failure or _cause(last)


def _cause(last: Sequence[str]) -> str:
    """Return the line that names the error in the end of a step's output, else its very last line."""
    errors = [line for line in last if ERROR.match(line)]
    return (errors or list(last) or ["it printed nothing"])[-1]


def _new_log(settings: Settings) -> Path:
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for old in sorted(logs.glob("pipeline-*.log"))[:-LOGS_KEPT]:
        old.unlink(missing_ok=True)
    return logs / f"pipeline-{time.strftime('%Y%m%d-%H%M%S')}.log"
