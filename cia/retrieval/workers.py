"""Prepares files in several processes at once; what comes of it is the same, in the same order, as from one.

A worker reads batches from its standard input and writes points to its standard output. It ends when either closes, so it
never outlives its parent, however that dies. A batch whose worker died is prepared here.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import chain, pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np

from cia.retrieval.embedding import Embedder, open_embedder
from cia.retrieval.preparing import FileToPrepare, prepare
from cia.retrieval.sparse import SparseTerms
from cia.retrieval.store import StoredPoint
from cia.settings import Settings

WORTH_SHARING_BYTES = 2_000_000
"""Of content. Less is prepared by the time a worker has started."""
MOST_WORKERS = 3
"""More would wait for the one process that stores the points."""
BATCHES_AHEAD = 2
"""Given to each worker, so that it never waits for work."""

Batch = Sequence[FileToPrepare]
Prepared = list[list[StoredPoint]]
_PROGRAM = "from cia.retrieval.workers import serve; serve()"


def prepare_all(
    batches: Sequence[Batch], content_bytes: int, settings: Settings, embedder: Embedder | None
) -> Generator[Prepared]:
    """Yield what ``prepare`` returns for each batch, in order; with workers if there is enough to do and a core to spare."""
    count = min(len(os.sched_getaffinity(0)) - 1, MOST_WORKERS) if content_bytes >= WORTH_SHARING_BYTES else 0
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(max(count, 1)))
        workers: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(count):
            workers.put(stack.enter_context(Worker(settings, immediate=embedder is not None)))

        def ask(batch: Batch) -> Prepared | None:
            worker = workers.get()
            try:
                return worker.ask(batch)
            finally:
                workers.put(worker)

        pending: deque[tuple[Batch, Future[Prepared | None]]] = deque()
        for batch in batches:
            if sum(not future.done() for _, future in pending) < count * BATCHES_AHEAD:
                pending.append((batch, pool.submit(ask, batch)))
            else:
                # The workers have enough to do, or are still starting: this process works too.
                here: Future[Prepared | None] = Future()
                here.set_result(prepare(batch, settings.chunking, embedder))
                pending.append((batch, here))
            while pending and pending[0][1].done():
                yield _result(*pending.popleft(), settings, embedder)
        while pending:
            yield _result(*pending.popleft(), settings, embedder)


def _result(batch: Batch, future: Future[Prepared | None], settings: Settings, embedder: Embedder | None) -> Prepared:
    prepared = future.result()
    return prepare(batch, settings.chunking, embedder) if prepared is None else prepared


class Worker:
    """A process that prepares files, for the length of a ``with`` block."""

    def __init__(self, settings: Settings, immediate: bool) -> None:
        package = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        # Unbuffered, or a batch would wait in the buffer; a group of its own, so that Ctrl-C reaches only the parent.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            process_group=0,
        )
        self._greeting = (settings, immediate)

    def __enter__(self) -> Worker:
        self._send(self._greeting)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        with suppress(OSError):
            self.process.communicate()

    def ask(self, batch: Batch) -> Prepared | None:
        """Return the points of each file, None when the worker has died."""
        assert self.process.stdout is not None
        if not self._send(batch):
            return None
        try:
            return _unpacked(pickle.load(self.process.stdout))
        except (EOFError, pickle.UnpicklingError):
            return None

    def _send(self, message: Any) -> bool:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(pickle.dumps(message))
            self.process.stdin.flush()
        except OSError:
            return False
        return True


def serve() -> None:
    """Prepare the batches that come by standard input until it is closed: the whole life of a worker."""
    replies, sys.stdout = sys.stdout.buffer, sys.stderr
    with suppress(EOFError, BrokenPipeError):
        settings, immediate = pickle.load(sys.stdin.buffer)
        embedder = open_embedder(settings.index) if immediate else None
        while True:
            batch = pickle.load(sys.stdin.buffer)
            replies.write(pickle.dumps(_packed(prepare(batch, settings.chunking, embedder)), pickle.HIGHEST_PROTOCOL))
            replies.flush()


def _packed(files: Prepared) -> tuple[Any, ...]:
    """Points as a few large arrays: thousands of small ones take as long to send as to make."""
    points = list(chain.from_iterable(files))
    vectors = [point.dense for point in points if point.dense is not None]
    return (
        [len(of_file) for of_file in files],
        [(point.id, point.level, point.dense is not None, point.payload) for point in points],
        np.stack(vectors) if vectors else np.empty((0, 0), np.float32),
        [len(point.sparse.ids) for point in points],
        np.concatenate([np.empty(0, np.uint32), *(point.sparse.ids for point in points)]),
        np.concatenate([np.empty(0, np.float32), *(point.sparse.weights for point in points)]),
    )


def _unpacked(packed: tuple[Any, ...]) -> Prepared:
    sizes, rows, matrix, lengths, ids, weights = packed
    vectors = iter(matrix)
    bounds = np.cumsum([0, *lengths]).tolist()
    points: list[StoredPoint] = []
    level: Literal["chunk", "file"]
    for (identifier, level, has_vector, payload), (start, end) in zip(rows, pairwise(bounds), strict=True):
        terms = SparseTerms(ids[start:end], weights[start:end])
        points.append(StoredPoint(identifier, level, next(vectors) if has_vector else None, terms, payload))
    remaining = iter(points)
    return [[next(remaining) for _ in range(size)] for size in sizes]
