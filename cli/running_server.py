"""``cia serve`` as a process of its own: for the demo, the benchmarks and the tests.

with running_server(settings, "--workers", "2") as server:
    httpx.get(f"{server.address}/healthz")
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cia.errors import OperationError
from cia.leash import Leashed
from cia.progress import Progress, silent
from cia.settings import Settings, for_child_process

STOP_SECONDS = 30.0
"""It finishes its answers, then ends vLLM, before it is killed."""

ADDRESS = re.compile(r"^Code Intelligence Assistant at (http://\S+)$")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers. ``lines`` is what else it prints, each as soon as it does; its end is None.

    ``admin_key`` is the key of the administrator that the server began with; None where there was one already.
    """

    address: str
    admin_key: str | None
    pid: int
    lines: queue.SimpleQueue[str | None]

    def wait_for_vllm(self, seconds: float, progress: Progress = silent) -> str:
        """Return the sentence in which a server ``--with-vllm`` says that the model is ready.

        Raises OperationError with vLLM's last words when it does not start, or not within ``seconds``.
        """
        from inference_services.vllm_process import AGAIN, READY

        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            progress("starting, seconds so far", int(passed), 0)
            try:
                line = self.lines.get(timeout=1.0)
            except queue.Empty:
                continue
            if line is None:
                raise OperationError("the server ended before its model was ready; see logs/serve.log under CIA_HOME")
            if line.startswith(READY):
                return line
            if AGAIN in line:
                raise OperationError(line)
        raise OperationError(f"vLLM was not ready after {seconds:.0f} s; see logs/vllm.log under CIA_HOME")


@contextlib.contextmanager
def running_server(settings: Settings, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningServer]:
    """Run ``cia serve`` with exactly ``settings`` on a free port; yield it once it answers, and end it with the block.

    ``environment`` is added to this process's own and wins over the settings. Raises OperationError with the server's last
    words when it ends before it is ready. Its log is ``logs/serve.log``.
    """
    more = dict(environment or {})
    variable = settings.rag.admin_key_variable
    admin_key = more.get(variable) or os.environ.get(variable) or _first_key(settings)
    if admin_key is not None:
        more[variable] = admin_key
    log = settings.home / "logs" / "serve.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        server = Leashed(
            [sys.executable, "-m", "cli.main", "serve", "--port", "0", *options],
            environment={**for_child_process(settings, settings.home / "serve"), **more},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert server.process.stdout is not None
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=_hear, args=(server.process.stdout, lines), daemon=True).start()
        early: list[str] = []
        while (line := lines.get()) is not None:
            if found := ADDRESS.match(line):
                for sentence in early:  # vLLM may be ready before the server itself is
                    lines.put(sentence)
                yield RunningServer(found.group(1), admin_key, server.group, lines)
                return
            early.append(line)
        raise OperationError(f"the server ended before it was ready: {_last_line(log)} (the whole log: {log})")
    finally:
        server.stop(STOP_SECONDS)


def key_of_user(settings: Settings, name: str) -> str:
    """Return a new API key of a user who may read every repository, who is added or comes back if need be."""
    from rag_server.access.api_keys import new_key
    from rag_server.access.users import EVERY_REPOSITORY, Users
    from rag_server.database import Database

    key, stored = new_key()
    with contextlib.closing(Database(settings)) as database:
        users = Users(database)
        known = users.find(name)
        if known is None or known.revoked is not None:
            users.add(name, [EVERY_REPOSITORY], key=stored)
        else:
            users.replace_key(name, stored)
    return key


def _first_key(settings: Settings) -> str | None:
    from rag_server.access.api_keys import new_key
    from rag_server.access.users import Users
    from rag_server.database import Database

    with contextlib.closing(Database(settings)) as database:
        return None if Users(database).has_administrator() else new_key()[0]


def _hear(stream: IO[bytes], lines: queue.SimpleQueue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # the stream is closed when the server is stopped
        for line in stream:
            lines.put(line.decode(errors="replace").rstrip())
    lines.put(None)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").rstrip().splitlines()
    return lines[-1].removeprefix("cia: ") if lines else "it said nothing"
