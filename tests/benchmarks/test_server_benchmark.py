"""The load generator against a server whose delays and faults are known, and what the figures make of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator, Callable

import pytest

from benchmarks.server.figures import markdown, percentile
from benchmarks.server.load import (
    LEFT,
    AskEvents,
    Client,
    CompletionEvents,
    Events,
    Reply,
    Request,
    act,
    closed_loop,
    open_loop,
)
from benchmarks.server.soak import SAMPLE_SECONDS, Sample, judge

DELAY = 0.05
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
SOURCES = b'event: sources\ndata: {"sources": []}\n\n'
TOKEN = b'event: token\ndata: {"text": "a"}\n\n'


def answer(mode: str = "llm") -> bytes:
    model = "code-assistant:3" if mode == "llm" else "none"
    document = {"mode": mode, "model": model, "usage": {"prompt_tokens": 9, "completion_tokens": 3} if mode == "llm" else None}
    return b"event: answer\ndata: " + json.dumps(document).encode() + b"\n\n"


def completion(**fields: object) -> bytes:
    return b"data: " + json.dumps({"choices": [], **fields}).encode() + b"\n\n"


def delta(**fields: object) -> bytes:
    return completion(choices=[{"delta": fields}])


USAGE = completion(usage={"completion_tokens": 5})

SCRIPTS: dict[str, list[bytes]] = {
    "/ask": [SOURCES, TOKEN, TOKEN, answer()],
    "/halves": [SOURCES + TOKEN[:9], TOKEN[9:] + answer()[:20], answer()[20:]],
    "/fallback": [SOURCES, TOKEN, answer("extractive")],
    "/quoted": [SOURCES, answer("extractive")],
    "/error": [SOURCES, TOKEN, b'event: error\ndata: {"error": {"type": "unavailable", "message": "."}}\n\n'],
    "/unfinished": [SOURCES, TOKEN],
    "/chat": [delta(role="assistant", content=""), delta(content="a"), USAGE, b"data: [DONE]\n\n"],
    "/chat-error": [delta(content="a"), b'data: {"error": {"message": "."}}\n\n'],
}  # fmt: skip
"""What each path streams, a piece each ``DELAY`` seconds."""


class KnownServer:
    """Answers after known delays; remembers how many it answered at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode()
                self.now += 1
                self.most = max(self.most, self.now)
                try:
                    await self._answer(path, writer)
                finally:
                    self.now -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path == "/cut":
            writer.write(HEAD + _chunk(SOURCES + TOKEN))
            await writer.drain()
            raise ConnectionError
        if path in SCRIPTS:
            writer.write(HEAD)
            for piece in SCRIPTS[path]:
                await asyncio.sleep(DELAY)
                writer.write(_chunk(piece))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        else:
            await asyncio.sleep(DELAY)
            status = b"429 Too Many Requests" if path == "/busy" else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


@pytest.fixture
async def known() -> AsyncIterator[KnownServer]:
    server = KnownServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield server
    listener.close()


async def sent(known: KnownServer, path: str, events: Callable[[], Events] | None = None, **fields: bool) -> Reply:
    async with Client() as client:
        return await client.send(Request("it", "GET", known.address + path, events=events, **fields))


@pytest.mark.parametrize(("path", "model"), [("/ask", "code-assistant:3"), ("/quoted", "none")])
async def test_a_reply_names_who_answered(known: KnownServer, path: str, model: str) -> None:
    assert (await sent(known, path, AskEvents)).model == model


async def test_a_plain_reply_takes_as_long_as_the_server_did(known: KnownServer) -> None:
    reply = await sent(known, "/plain")
    assert (reply.error, reply.body) == ("", b"{}")
    assert 1000 * DELAY <= reply.milliseconds < 1000 * DELAY + 500


@pytest.mark.parametrize(
    ("path", "events", "pieces_to_text", "pieces", "tokens"),
    [
        ("/ask", AskEvents, 2, 4, 3),
        ("/halves", AskEvents, 2, 3, 3),
        ("/quoted", AskEvents, 2, 2, 0),
        ("/chat", CompletionEvents, 2, 4, 5),
    ],
)
async def test_the_first_text_is_timed_apart_from_what_comes_before_and_after(
    known: KnownServer, path: str, events: Callable[[], Events], pieces_to_text: int, pieces: int, tokens: int
) -> None:
    reply = await sent(known, path, events)
    assert (reply.error, reply.tokens) == ("", tokens)
    assert 1000 * DELAY * pieces_to_text <= reply.first_text_milliseconds
    assert reply.milliseconds - reply.first_text_milliseconds >= 1000 * DELAY * (pieces - pieces_to_text) * 0.8


@pytest.mark.parametrize(
    ("path", "events", "error"),
    [
        ("/busy", None, "429"),
        ("/busy", AskEvents, "429"),
        ("/cut", AskEvents, "ClientPayloadError"),
        ("/unfinished", AskEvents, "no end"),
        ("/error", AskEvents, "unavailable"),
        ("/fallback", lambda: AskEvents(from_model=True), "fallback"),
        ("/chat-error", CompletionEvents, "error event"),
        ("/chat", AskEvents, "no end"),
    ],
)
async def test_what_did_not_come_whole_is_an_error_and_no_fast_answer(
    known: KnownServer, path: str, events: Callable[[], Events] | None, error: str
) -> None:
    run = await closed_loop(iter([act(Request("it", "GET", known.address + path, events=events))]), 1)
    assert run.errors == {error: 1}
    assert run.whole == []


async def test_a_server_that_is_not_there_is_an_error() -> None:
    async with Client() as client:
        reply = await client.send(Request("it", "GET", "http://127.0.0.1:1/"))
    assert reply.error == "ClientConnectorError"


async def test_a_client_that_leaves_is_gone_before_the_end_and_counts_as_no_error(known: KnownServer) -> None:
    run = await closed_loop(iter([act(Request("it", "GET", f"{known.address}/ask", events=AskEvents, leave_early=True))]), 1)
    assert [reply.error for reply in run.replies] == [LEFT]
    assert run.errors.total() == len(run.whole) == 0
    assert run.replies[0].milliseconds < 1000 * DELAY * len(SCRIPTS["/ask"])


async def test_a_closed_loop_has_as_many_under_way_as_it_has_clients(known: KnownServer) -> None:
    requests = itertools.repeat(act(Request("it", "GET", f"{known.address}/plain")), 40)
    run = await closed_loop(requests, 8)
    assert (len(run.whole), known.most) == (40, 8)
    assert run.seconds >= 5 * DELAY
    assert run.cpu_seconds < run.seconds


async def test_a_closed_loop_ends_with_its_time(known: KnownServer) -> None:
    run = await closed_loop(itertools.repeat(act(Request("it", "GET", f"{known.address}/plain"))), 2, seconds=4 * DELAY)
    assert 2 <= len(run.whole) <= 10


async def test_an_open_loop_keeps_its_rate_whatever_the_server_takes(known: KnownServer) -> None:
    run = await open_loop(itertools.repeat(act(Request("it", "GET", f"{known.address}/plain"))), 100, 1.0)
    assert 70 <= len(run.whole) <= 130
    assert known.most > 2, "it waited for replies"


async def test_an_open_loop_that_is_late_counts_its_own_delay(known: KnownServer) -> None:
    async def held_up(client: Client) -> list[Reply]:
        await asyncio.sleep(2 * DELAY)
        return [await client.send(Request("it", "GET", f"{known.address}/plain"))]

    run = await open_loop(itertools.repeat(held_up), 50, 0.2)
    assert all(reply.milliseconds >= 3 * 1000 * DELAY for reply in run.whole)


def test_a_percentile_is_the_value_that_so_many_do_not_exceed() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.95, 0.99, 1.0)] == [1, 50, 95, 99, 100]
    assert percentile([3.0], 0.99) == 3
    assert math.isnan(percentile([], 0.5))


def test_a_table_is_markdown() -> None:
    table = markdown(("who", "how many", "ms"), [("one", 1200, 3.14159), ("two", 2, math.nan)])
    assert table.splitlines() == [
        "| who | how many |  ms |",
        "| --- | -------: | --: |",
        "| one |    1,200 | 3.1 |",
        "| two |        2 |   - |",
    ]


def soaked(megabytes_an_hour: float, minutes: float = 10) -> list[Sample]:
    """A server of 400 MB that leaks so much, and wavers by half a megabyte like any."""
    times = [n * SAMPLE_SECONDS for n in range(int(minutes * 60 / SAMPLE_SECONDS))]
    memory = [400e6 + megabytes_an_hour * 1e6 * t / 3600 + 5e5 * (-1) ** n for n, t in enumerate(times)]
    return [Sample(t, round(resident), 40, 20, 0) for t, resident in zip(times, memory, strict=True)]


def test_a_leak_is_seen_and_measured() -> None:
    verdict = judge(soaked(120))
    assert not verdict.is_flat
    assert verdict.megabytes_an_hour == pytest.approx(120, rel=0.02)
    assert "growing" in str(verdict)


def test_memory_that_wavers_or_shrinks_is_flat() -> None:
    assert judge(soaked(0)).is_flat
    assert judge(soaked(-100)).is_flat
    assert "flat" in str(judge(soaked(0)))
