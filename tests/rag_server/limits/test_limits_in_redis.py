"""With a real Redis several servers count together; without it each goes on alone, and finds it again."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cia.errors import LimitError
from cia.settings import Settings
from rag_server.limits import redis_link
from tests.rag_server.running_server import Server, add_user, with_rag

REDIS = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(REDIS is None, reason="no redis-server here (Debian: apt-get install redis-server)")


@contextlib.contextmanager
def running_redis(port: int, folder: Path) -> Iterator[None]:
    command = [str(REDIS), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free port, which the settings' variable points to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    monkeypatch.setenv("RAG_REDIS_URL", f"redis://127.0.0.1:{port}/0")
    monkeypatch.setattr(redis_link, "ASK_AGAIN_SECONDS", 0.3)
    return port


def test_two_servers_count_a_users_requests_and_tokens_together(
    start: Callable[..., Server], indexed: Settings, port: int, tmp_path: Path
) -> None:
    with running_redis(port, tmp_path):
        servers = [start(with_rag(indexed, rate_limit=6, daily_tokens=100)) for _ in range(2)]
        key = add_user(indexed, f"everywhere-{port}")
        asking = [server.acting_as(key) for server in servers]
        assert [asking[number % 2].client.get("/v1/me").status_code for number in range(8)] == [200] * 6 + [429] * 2
        assert 1 <= int(asking[1].client.get("/v1/me").headers["retry-after"]) <= 60
        first, second = (server.client.app.state.services.limits.token_budget for server in servers)
        first.spend("alice", 60)
        second.spend("alice", 60)
        for budget in (first, second):
            with pytest.raises(LimitError):
                budget.check("alice")


def test_a_redis_that_goes_away_costs_nobody_a_request_and_comes_back_by_itself(
    start: Callable[..., Server], indexed: Settings, port: int, tmp_path: Path
) -> None:
    with running_redis(port, tmp_path):
        server = start(with_rag(indexed, rate_limit=8))
        assert server.client.get("/v1/me").status_code == 200
        assert server.metric("cia_limits_redis_up") == 1
    begun = time.monotonic()
    status = [server.client.get("/v1/me").status_code for _ in range(9)]
    assert status == [200] * 8 + [429], "without Redis the limit holds within a process"
    assert time.monotonic() - begun < 2.0
    warned = [line for line in server.log if "redis is away" in line["event"]]
    assert [line["level"] for line in warned] == ["warning"]
    nobody = server.acting_as(None)
    assert "cia_limits_redis_up 0.0" in nobody.client.get("/metrics").text
    with running_redis(port, tmp_path):
        time.sleep(0.4)
        assert server.client.get("/v1/me").status_code == 200
        text = nobody.client.get("/metrics").text
        assert "cia_limits_redis_up 1.0" in text
        assert "cia_limits_redis_failures_total" in text
    assert [line["event"] for line in server.log if "again" in line["event"]] == ["limits are counted in Redis again"]
