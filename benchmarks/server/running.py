"""The processes under load: ``cia serve`` and vLLM on loopback, ended with the block that started them."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.server.reciting_model import make_reciting_model
from cia.corpus import Corpus
from cia.settings import Settings
from cli.running_server import key_of_user, running_server
from inference_services.vllm_process import VllmProcess

USERS = 16
"""Who asks, in turn, so that the work of telling users apart is part of what is measured."""

UNLIMITED = {
    "rate_limit": 10_000_000,
    "health_rate_limit": 10_000_000,
    "max_concurrent": 256,
    "concurrent_per_user": 256,
    "daily_tokens": 10_000_000_000,
}
"""Limits are checked as always, and never reached."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server: its address, a key of each user, and its process."""

    address: str
    keys: tuple[str, ...]
    process: psutil.Process

    def processes(self) -> list[psutil.Process]:
        """Return the processes that answer: all below the leash."""
        found: list[psutil.Process] = self.process.children(recursive=True)
        return found

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that its processes have used."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def metric(self, line: str) -> float:
        """Return the value of ``line`` in ``/metrics``, 0 when it is not there."""
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=10) as reply:
            text: str = reply.read().decode()
        return next((float(one.rpartition(" ")[2]) for one in text.splitlines() if one.startswith(f"{line} ")), 0.0)


def changed(settings: Settings, section: str, **fields: Any) -> Settings:
    """Return ``settings`` with other values in one section."""
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=fields)})


@contextlib.contextmanager
def assistant_server(settings: Settings, workers: int = 1) -> Iterator[RunningServer]:
    """Run ``cia serve`` over ``settings`` with limits that are never reached; yield it once it answers."""
    settings = changed(settings, "rag", workers=workers, **UNLIMITED)
    keys = tuple(key_of_user(settings, f"user-{number}") for number in range(USERS))
    with running_server(settings) as server:
        yield RunningServer(server.address, keys, psutil.Process(server.pid))


@contextlib.contextmanager
def reciting_vllm(settings: Settings) -> Iterator[Settings]:
    """Run vLLM with the reciting model on one thread; yield ``settings`` with the server pointed at it."""
    settings = changed(settings, "serving", cpu_threads=1, start_timeout_seconds=600.0)
    with VllmProcess(settings, reciting_base(settings), port=0) as vllm:
        settings = changed(settings, "model", base_url=vllm.base_url, timeout_seconds=120.0)
        yield changed(settings, "answering", use_base_model=True)


def reciting_base(settings: Settings) -> Path:
    """Make the reciting model from the text of what is indexed, and return its folder."""
    snapshot = Corpus(settings).snapshots()[0]
    texts = [snapshot.read_bytes(file.path).decode("utf-8", "replace") for file in snapshot.files]
    return make_reciting_model(texts, settings.home / "models" / "reciting", settings)


def interpreter_of_vllm(settings: Settings) -> Path:
    """Return where vLLM's interpreter should be."""
    return Path(settings.serving.vllm_python).absolute()
