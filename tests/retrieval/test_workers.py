"""Several processes prepare what one would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cia.retrieval import workers
from cia.retrieval.embedding import open_embedder
from cia.retrieval.preparing import FileToPrepare, prepare
from cia.retrieval.workers import Worker, prepare_all
from cia.settings import Settings

BATCHES = [
    [FileToPrepare(f"cia/{path.name}", path) for path in sorted(Path(workers.__file__).parent.glob(pattern))]
    for pattern in ("[a-f]*.py", "[g-q]*.py", "[r-s]*.py", "[t-z]*.py", "__init__.py")
]


def flat(prepared: object) -> list[object]:
    return [
        (point.id, point.level, point.dense.tobytes(), point.sparse.ids.tobytes(), point.sparse.weights.tobytes(), point.payload)
        for batch in prepared  # type: ignore[attr-defined]
        for of_file in batch
        for point in of_file
    ]


def test_workers_give_the_same_points_in_the_same_order(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    embedder = open_embedder(settings.index)
    alone = flat(prepare_all(BATCHES, 0, settings, embedder))
    assert len(alone) > 50
    assert flat(prepare_all(BATCHES, workers.WORTH_SHARING_BYTES, settings, embedder)) == alone


def test_a_worker_answers_what_would_be_prepared_here(settings: Settings) -> None:
    embedder = open_embedder(settings.index)
    with Worker(settings, immediate=True) as worker:
        answer = worker.ask(BATCHES[0])
    assert answer is not None
    assert flat([answer]) == flat([prepare(BATCHES[0], settings.chunking, embedder)])


def test_without_a_model_points_have_no_vector(settings: Settings) -> None:
    with Worker(settings, immediate=False) as worker:
        answer = worker.ask(BATCHES[0])
    assert answer is not None
    assert all(point.dense is None for of_file in answer for point in of_file)


def test_a_dead_worker_is_noticed(settings: Settings) -> None:
    with Worker(settings, immediate=True) as worker:
        worker.process.kill()
        assert worker.ask(BATCHES[0]) is None


def test_a_worker_does_not_outlive_its_parent(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from cia.settings import Settings\n"
        "from cia.retrieval.workers import Worker\n"
        "with Worker(Settings(home=Path(sys.argv[1])), immediate=False) as worker:\n"
        "    print(worker.process.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(200):
        state = Path(f"/proc/{worker}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker is still there")
