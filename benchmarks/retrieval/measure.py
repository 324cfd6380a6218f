"""Run systems over question sets, one cold process for each system and kind, and score what they answer."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.retrieval.metrics import COMMITS, DEPTH, FILE_DEPTH, percentile, ranked, score
from benchmarks.retrieval.question import Found, Kind, QuestionSet
from cia.errors import OperationError
from cia.leash import Leashed

RUN_MARK = "run-"
"""Begins the name of a folder of one run; the process that owns it comes next."""


@dataclass(slots=True)
class Measurement:
    """One system on all sets of one kind. ``scores`` and ``rankings`` are by question, named ``repo/id``."""

    system: str
    kind: Kind
    index_seconds: float
    peak_bytes: int
    query_seconds: list[float]
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    rankings: dict[str, list[list[Any]]] = field(default_factory=dict)

    def mean(self, metric: str) -> float:
        """Return the mean of ``metric`` over the questions that have it."""
        values = [scores[metric] for scores in self.scores.values() if metric in scores]
        return sum(values) / len(values)

    def query_milliseconds(self, share: float) -> float:
        """Return a percentile of the time that one question took."""
        return 1000 * percentile(self.query_seconds, share)


def measure(system: str, sets: Sequence[QuestionSet], cache: Path) -> Measurement:
    """Index the trees of ``sets`` (all of one kind) with ``system`` in a fresh process and ask it everything.

    The index time runs from the start of that process until the last tree can be searched, imports and models included.
    Raises OperationError with the last line of what the process printed when it fails.
    """
    kind = sets[0].kind
    answer = _run(system, sets, FILE_DEPTH if kind in COMMITS else DEPTH, cache)
    measurement = Measurement(
        system,
        kind,
        answer["start_seconds"] + sum(answer["index_seconds"].values()),
        answer["peak_bytes"],
        [entry["seconds"] for entry in answer["answers"].values()],
    )
    for question_set in sets:
        for question in question_set.questions:
            name = f"{question_set.repo}/{question.id}"
            ranking = ranked(kind, [Found(*place) for place in answer["answers"][name]["found"]])
            measurement.scores[name] = score(kind, question, ranking)
            measurement.rankings[name] = [[found.path, found.start, found.end] for found in ranking]
    return measurement


def _run(system: str, sets: Sequence[QuestionSet], limit: int, cache: Path) -> dict[str, Any]:
    trees = [
        {
            "repo": question_set.repo,
            "folder": str(question_set.tree),
            "questions": [(f"{question_set.repo}/{question.id}", question.text) for question in question_set.questions],
        }
        for question_set in sets
    ]
    with _run_folder(cache) as folder:
        request, answer, errors = folder / "request.json", folder / "answer.json", folder / "errors.txt"
        paths = {"cache": str(cache), "scratch": str(folder)}
        request.write_text(json.dumps({"system": system, "limit": limit, "trees": trees, **paths}))
        code = _in_a_process([sys.executable, "-m", "benchmarks.retrieval.worker", str(request), str(answer)], errors)
        if code != 0:
            last = (errors.read_text(errors="replace").strip().splitlines() or [f"its process ended with {code}"])[-1]
            raise OperationError(f"{system} failed: {last}")
        document: dict[str, Any] = json.loads(answer.read_text())
        return document


def _in_a_process(command: Sequence[str], errors: Path) -> int:
    with errors.open("wb") as file:
        child = Leashed(command, stdout=subprocess.DEVNULL, stderr=file)
        try:
            return child.wait()
        finally:
            child.stop()


@contextlib.contextmanager
def _run_folder(cache: Path) -> Iterator[Path]:
    """Yield a folder that goes when the block ends; one that a killed run left goes now."""
    cache.mkdir(parents=True, exist_ok=True)
    for left in cache.glob(f"{RUN_MARK}*"):
        if not _is_running(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{RUN_MARK}{os.getpid()}-", dir=cache) as folder:
        yield Path(folder)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
