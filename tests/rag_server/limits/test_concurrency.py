"""A question counts until its response has ended, also when that is a stream that nobody reads to its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import httpx
import pytest

from cia.settings import Settings
from tests.rag_server.running_server import AS_ADMIN, add_user, served
from tests.rag_server.stand_in_model import StandInModel

ASK = {"question": "How is a wick trimmed?", "stream": True}


@pytest.fixture
def address(indexed: Settings, stand_in_model: StandInModel) -> Iterator[str]:
    """A server that answers two questions of a user at once, three in all, with a model that takes its time."""
    stand_in_model.says = "A wick is trimmed by Wick.trim [1]. " * 400
    stand_in_model.pause_seconds = 0.05
    environment = {
        "CIA_MODEL__BASE_URL": stand_in_model.base_url,
        "CIA_MODEL__FORM": "prose",
        "CIA_ANSWERING__USE_BASE_MODEL": "true",
        "CIA_RAG__CONCURRENT_PER_USER": "2",
        "CIA_RAG__MAX_CONCURRENT": "3",
    }
    with served(indexed, **environment) as address:
        yield address


@contextlib.contextmanager
def streaming(address: str, headers: dict[str, str]) -> Iterator[None]:
    with httpx.stream("POST", f"{address}/v1/ask", json=ASK, headers=headers, timeout=30.0) as reply:
        assert reply.status_code == 200
        lines = reply.iter_lines()  # held on to: dropped, it would hang up
        assert next(line for line in lines if line == "event: token")
        yield


def search(address: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{address}/v1/search", json={"query": "wick"}, headers=headers, timeout=30.0)


def test_streams_count_until_they_end_and_a_client_that_leaves_frees_its_place(address: str, indexed: Settings) -> None:
    other, third = ({"X-API-Key": add_user(indexed, name, "lantern")} for name in ("second-asker", "third-asker"))
    with streaming(address, AS_ADMIN):
        assert search(address, AS_ADMIN).status_code == 200
        with streaming(address, AS_ADMIN):
            refused = search(address, AS_ADMIN)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert "your questions" in refused.json()["error"]["message"]
            assert httpx.get(f"{address}/v1/me", headers=AS_ADMIN).status_code == 200, "what costs nothing is not limited so"
            with streaming(address, other):
                refused = search(address, third)
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
                assert "the server" in refused.json()["error"]["message"]
    deadline = time.monotonic() + 10
    while search(address, third).status_code != 200:
        assert time.monotonic() < deadline, "places are not given back"
        time.sleep(0.05)
    with streaming(address, AS_ADMIN), streaming(address, AS_ADMIN):
        pass


def test_a_request_that_fails_gives_its_place_back(address: str) -> None:
    for _ in range(6):
        wrong = httpx.post(f"{address}/v1/search", json={"query": "wick", "repos": ["nothing"]}, headers=AS_ADMIN)
        assert wrong.status_code == 404
