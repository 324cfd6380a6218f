"""A version is tried before it is named, tried again with patience, and never holds up a newer one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from cia.errors import AdapterError, UnavailableError
from rag_server.adapters import Followed


class Server:
    """Stands for vLLM: what it has, what it refuses, and how often it was asked."""

    def __init__(self) -> None:
        self.has: set[str] = set()
        self.refuses: set[str] = set()
        self.hangs: set[str] = set()
        self.asked: list[str] = []
        self.released = threading.Event()
        self.now = 0.0

    def resolve(self, name: str) -> None:
        self.asked.append(name)
        if name in self.hangs:
            self.released.wait(10)
        if name in self.refuses:
            raise AdapterError(f"vLLM does not serve {name}: no space left")
        self.has.add(name)

    def followed(self, keeps_the_last: bool = True) -> Followed:
        return Followed(self.resolve, keeps_the_last, clock=lambda: self.now)


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_a_version_is_loaded_before_it_is_named_and_once() -> None:
    server = Server()
    followed = server.followed()
    for _ in range(3):
        followed.follow("a:1", server.has)
    assert (followed.served, server.asked) == ("a:1", ["a:1"])


def test_a_slow_version_is_not_named_and_a_newer_one_does_not_wait_for_it() -> None:
    server = Server()
    followed = server.followed()
    followed.follow("a:1", server.has)
    server.hangs = {"a:2"}
    begun = time.monotonic()
    followed.follow("a:2", server.has)
    assert time.monotonic() - begun < 2
    assert followed.served == "a:1"
    followed.follow("a:3", server.has)
    assert followed.served == "a:3"
    server.released.set()
    assert eventually(lambda: "a:2" in server.has)
    followed.follow("a:3", server.has)
    assert followed.served == "a:3", "the one that was overtaken came back"


def test_a_refused_version_leaves_the_last_one_and_is_tried_again_with_growing_pauses() -> None:
    server = Server()
    followed = server.followed()
    followed.follow("a:1", server.has)
    server.refuses = {"a:2"}
    tried_at = []
    for server.now in range(40):
        before = len(server.asked)
        followed.follow("a:2", server.has)
        tried_at += [server.now] * (len(server.asked) - before)
        assert followed.served == "a:1"
        assert "no space left" in followed.problem
    assert tried_at == [0, 2, 6, 14, 30]
    server.refuses = set()
    server.now = 62
    followed.follow("a:2", server.has)
    assert (followed.served, followed.problem) == ("a:2", "")


def test_going_back_to_what_is_served_forgets_the_refusal() -> None:
    server = Server()
    followed = server.followed()
    followed.follow("a:1", server.has)
    server.refuses = {"a:2"}
    followed.follow("a:2", server.has)
    followed.follow("a:1", server.has)
    assert (followed.served, followed.problem) == ("a:1", "")
    server.refuses = set()
    followed.follow("a:2", server.has)
    assert followed.served == "a:2", "the pause of the earlier wish was kept"


def test_one_on_trial_that_is_refused_is_not_named_at_all() -> None:
    server = Server()
    followed = server.followed(keeps_the_last=False)
    followed.follow("a:1", server.has)
    server.refuses = {"a:1", "a:2"}
    followed.follow("a:2", server.has)
    assert followed.served is None
    followed.follow("a:1", {"a:1"})
    assert followed.served == "a:1"
    followed.follow("a:1", set())
    assert followed.served is None


def test_what_vllm_has_lost_is_asked_for_again_and_keeps_its_name_meanwhile() -> None:
    server = Server()
    for keeps_the_last in (True, False):
        followed = server.followed(keeps_the_last)
        followed.follow("a:1", server.has)
        server.asked.clear()
        server.hangs = {"a:1"}
        followed.follow("a:1", set())
        assert (followed.served, server.asked) == ("a:1", ["a:1"])
        server.released.set()
        server.hangs = set()


@pytest.mark.parametrize("error", [UnavailableError("away"), ZeroDivisionError("whatever")])
def test_a_server_that_is_away_refuses_nothing_and_anything_else_is_a_refusal(error: Exception) -> None:
    def resolve(_: str) -> None:
        raise error

    followed = Followed(resolve, keeps_the_last=True)
    followed.follow("a:1", set())
    assert followed.served is None
    assert followed.problem == ("" if isinstance(error, UnavailableError) else "whatever")


def test_no_wish_names_nobody() -> None:
    server = Server()
    followed = server.followed()
    followed.follow("a:1", server.has)
    followed.follow(None, server.has)
    assert followed.served is None
