"""What is measured: a registry with versions, vLLM that fetches them, and the answer server, as processes on this machine."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.server.load import Act, AskEvents, Request, act
from benchmarks.server.running import RunningServer, assistant_server, changed, reciting_base
from benchmarks.serving.adapters import register_versions
from cia.errors import OperationError
from cia.registry import Registry
from cia.settings import Settings
from inference_services.vllm_arguments import VLLM_MODULE
from inference_services.vllm_process import VllmProcess

READY_SECONDS = 120.0


@dataclass(frozen=True)
class Stack:
    """Everything that runs. ``questions`` are asked in turn, each of another user."""

    settings: Settings
    registry: Registry
    vllm: VllmProcess
    server: RunningServer
    questions: Sequence[str]

    def asking(self) -> Iterator[Act]:
        """Yield streamed questions for ever."""
        for question, key in zip(itertools.cycle(self.questions), itertools.cycle(self.server.keys), strict=False):
            body = {"question": question, "stream": True}
            yield act(Request(question, "POST", f"{self.server.address}/v1/ask", body, key, AskEvents))

    def vllm_processes(self) -> list[psutil.Process]:
        """Return vLLM's own processes: its API server, which was started first, and what that has started."""
        mine = psutil.Process().children(recursive=True)
        api_server = next(one for one in mine if VLLM_MODULE in one.cmdline() and "cia.leash" not in one.cmdline())
        return [api_server, *api_server.children(recursive=True)]


@contextlib.contextmanager
def serving_stack(settings: Settings, questions: Sequence[str], versions: int, timeout_seconds: float) -> Iterator[Stack]:
    """Run it all with ``versions`` registered and the first in Production; yield it once an answer comes from that.

    After ``timeout_seconds`` an answer that vLLM has not finished becomes an extractive one.
    """
    settings = changed(settings, "serving", cpu_threads=1, start_timeout_seconds=600.0)
    base = reciting_base(settings)
    registry = register_versions(settings, base, versions)
    with VllmProcess(settings, base, port=0) as vllm:
        served = changed(settings, "model", base_url=vllm.base_url, timeout_seconds=timeout_seconds)
        with assistant_server(served) as server:
            stack = Stack(served, registry, vllm, server, questions)
            wait_for_version(stack, 1, READY_SECONDS)
            yield stack


def wait_for_version(stack: Stack, version: int, seconds: float) -> float:
    """Ask until ``version`` answers; return the seconds that took. Raises OperationError when it does not within ``seconds``."""
    import httpx

    begun = time.perf_counter()
    headers = {"Authorization": f"Bearer {stack.server.keys[0]}"}
    while time.perf_counter() - begun < seconds:
        body = {"question": stack.questions[0]}
        answer = httpx.post(f"{stack.server.address}/v1/ask", json=body, headers=headers, timeout=seconds).json()
        if answer.get("model") == f"code-assistant:{version}":
            return time.perf_counter() - begun
        time.sleep(0.1)
    raise OperationError(f"version {version} did not answer within {seconds:.0f} s; the last answer: {answer}")


def cached_bytes(folder: Path) -> int:
    """Return the size of all files below ``folder``; one that goes meanwhile counts nothing."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return total
