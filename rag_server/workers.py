"""Several processes that answer on one socket: uvicorn's own supervisor starts them, and replaces one that dies."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import uvicorn
from fastapi import FastAPI
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors.multiprocess import Multiprocess

from cia.settings import Settings, for_child_process, load_settings
from rag_server.app import create_app
from rag_server.limits.redis_link import redis_url
from rag_server.request_record import json_log

START_SECONDS = 60.0
"""A worker that does not answer within this is replaced."""


def serve_by_workers(settings: Settings, config: uvicorn.Config, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Serve with ``settings.rag.workers`` processes until told to stop; ``announce`` is called once all of them answer."""
    measures = own_folder(settings.home / "rag_server") / "metrics"
    measures.mkdir(parents=True)
    if redis_url(settings.rag) is None:
        json_log().warning("limits", problem=f"each worker counts for itself; {settings.rag.redis_url_variable} makes them one")
    # Workers are started afresh, and learn from the environment what to serve and where to count together.
    os.environ.update(for_child_process(settings, measures.parent), PROMETHEUS_MULTIPROC_DIR=str(measures))
    try:
        _Workers(config, listener, announce).run()
    finally:
        shutil.rmtree(measures.parent, ignore_errors=True)


def worker_application() -> FastAPI:
    """Return the application of one worker, which ends with the process that started it."""
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    return create_app(load_settings())


def own_folder(parent: Path) -> Path:
    """Return a folder for this server alone, as others may serve the same home; those of servers that were killed go."""
    for folder in parent.glob("workers-*"):
        if not psutil.pid_exists(int(folder.name.rpartition("-")[2])) or folder.name == f"workers-{os.getpid()}":
            shutil.rmtree(folder, ignore_errors=True)
    return parent / f"workers-{os.getpid()}"


class _Workers(Multiprocess):
    def __init__(self, config: uvicorn.Config, listener: socket.socket, announce: Callable[[], None]) -> None:
        super().__init__(config, [listener])
        self._announce = announce

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(START_SECONDS, self.should_exit) for process in self.processes):
            try:
                self._announce()
            except Exception:
                self.terminate_all()
                raise

    def keep_subprocess_alive(self) -> None:
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for dead in before - {process.pid for process in self.processes}:
            mark_process_dead(dead)  # type: ignore[no-untyped-call]  # what it was the gauge of is no more


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
