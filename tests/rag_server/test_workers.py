"""Several workers answer on one address; one that dies is replaced, and all end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cia.settings import Settings
from rag_server.workers import own_folder
from tests.rag_server.running_server import AS_ADMIN, UNHURRIED, with_administrator

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc (Linux)")


def children(pid: int) -> set[int]:
    found = {int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()}
    return {child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_share_an_address_and_their_counts_are_replaced_and_end_with_their_parent(
    indexed: Settings, tmp_path: Path
) -> None:
    settings = with_administrator(indexed)
    environment = {**os.environ, **UNHURRIED, "CIA_HOME": str(settings.home)}
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--workers", "2"]
    with (tmp_path / "log").open("wb") as log:
        parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
    try:
        assert parent.stdout is not None
        address = parent.stdout.readline().decode().split()[-1]

        def ask() -> int:
            with httpx.Client(base_url=address, headers=AS_ADMIN, timeout=10) as client:
                return client.post("/v1/search", json={"query": "wick"}).status_code

        first = children(parent.pid)
        assert len(first) == 2
        assert {ask() for _ in range(20)} == {200}
        metrics = httpx.get(f"{address}/metrics").text
        assert 'cia_requests_total{code="200",route="/v1/search"} 20.0' in metrics
        assert 'cia_dependency_up{dependency="index"} 1.0' in metrics

        victim = first.pop()
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: len(children(parent.pid) - {victim}) == 2)
        assert {ask() for _ in range(20)} == {200}

        last = children(parent.pid)
        os.kill(parent.pid, signal.SIGKILL)
        assert eventually(lambda: not any(map(alive, last)))
    finally:
        parent.kill()
        parent.wait()


def test_two_servers_over_one_home_leave_each_other_alone_and_what_was_killed_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs, killed = tmp_path / f"workers-{other.pid}", tmp_path / "workers-999999999"
        theirs.mkdir()
        killed.mkdir()
        ours = own_folder(tmp_path)
        other.kill()
    assert ours == tmp_path / f"workers-{os.getpid()}"
    assert theirs.exists()
    assert not killed.exists()
