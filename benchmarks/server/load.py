"""A light load generator: one process, one event loop, and the truth about what came back.

A reply counts only when it came whole: an error status, an ``error`` event, a cut connection and a stream without its end are
errors, and never fast answers.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import aiohttp

TIMEOUT_SECONDS = 120.0
LEFT = "left"
"""Outcome of a stream that the client itself left, as it was told to."""

_NO_CHOICES = re.compile(rb'"choices": ?\[\]')


class Events(Protocol):
    """Reads the events of one stream."""

    tokens: int
    error: str
    ended: bool
    model: str

    def take(self, event: bytes) -> bool:
        """Take in an event; return whether it holds text of the answer."""


class AskEvents:
    """The events of ``POST /v1/ask``. An answer that fell back on quoting is an error when ``from_model`` is set.

    Without a model there are no tokens: the answer is the first text.
    """

    def __init__(self, from_model: bool = False) -> None:
        self.tokens, self.error, self.ended, self.model = 0, "", False, ""
        self._from_model = from_model

    def take(self, event: bytes) -> bool:
        """See ``Events``."""
        if event.startswith(b"event: token"):
            return True
        if event.startswith(b"event: answer"):
            answer = _data(event)
            self.tokens = (answer["usage"] or {}).get("completion_tokens", 0)
            self.error = "fallback" if self._from_model and answer["mode"] != "llm" else ""
            self.model = answer["model"]
            self.ended = True
            return True
        if event.startswith(b"event: error"):
            self.error = _data(event)["error"]["type"]
        return False


class CompletionEvents:
    """The events of ``POST /v1/chat/completions`` as OpenAI has them. Only those are parsed that have to be."""

    def __init__(self) -> None:
        self.tokens, self.error, self.ended, self.model = 0, "", False, ""
        self._spoken = False

    def take(self, event: bytes) -> bool:
        """See ``Events``."""
        if event == b"data: [DONE]":
            self.ended = True
        elif event.startswith(b'data: {"error"'):
            self.error = "error event"
        elif _NO_CHOICES.search(event):
            self.tokens = (_data(event).get("usage") or {}).get("completion_tokens", 0)
        elif not self._spoken:
            self._spoken = any(choice["delta"].get("content") for choice in _data(event)["choices"])
            return self._spoken
        return self._spoken


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. ``events`` makes the reader of a stream; with ``leave_early`` the client is gone after its first text."""

    name: str
    method: str
    url: str
    body: Any = None
    key: str = ""
    events: Callable[[], Events] | None = None
    leave_early: bool = False


@dataclass(slots=True)
class Reply:
    """What came back, in seconds of ``time.perf_counter``. ``error`` is "" for a whole reply.

    ``due`` is when it should have been sent: a generator that is late has not made the server faster. ``model`` is who says
    that it answered ("none" for a quotation), where that is told.
    """

    name: str
    due: float
    begun: float
    ended: float = 0.0
    first_text: float | None = None
    tokens: int = 0
    error: str = ""
    model: str = ""
    body: bytes = b""

    @property
    def milliseconds(self) -> float:
        """From when it was due to the end of the reply."""
        return 1000 * (self.ended - self.due)

    @property
    def first_text_milliseconds(self) -> float:
        """From when it was due to its first text."""
        assert self.first_text is not None, "a whole stream has text"
        return 1000 * (self.first_text - self.due)


@dataclass(frozen=True, slots=True)
class Run:
    """All replies of a run, how long it took, and how many CPU seconds this generator needed."""

    replies: Sequence[Reply]
    seconds: float
    cpu_seconds: float

    @property
    def whole(self) -> list[Reply]:
        """Those without an error."""
        return [reply for reply in self.replies if not reply.error]

    @property
    def errors(self) -> Counter[str]:
        """How often each error came; a client that left on purpose is none."""
        return Counter(reply.error for reply in self.replies if reply.error and reply.error != LEFT)


class Client:
    """Sends requests over kept connections, as many at once as are asked for."""

    def __init__(self) -> None:
        # One address, tens of thousands of requests: neither a pool's limit nor a cookie may hold one up.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def send(self, request: Request) -> Reply:
        """Send it, read the reply to its end, and return what came of it. Raises nothing that a server may cause."""
        begun = time.perf_counter()
        reply = Reply(request.name, begun, begun)
        headers = {"Authorization": f"Bearer {request.key}"} if request.key else {}
        if request.url.endswith("/mcp"):
            headers["Accept"] = "application/json, text/event-stream"
        try:
            async with self._session.request(request.method, request.url, json=request.body, headers=headers) as response:
                if response.status >= 400:
                    reply.error = str(response.status)
                    await response.read()
                elif request.events is None:
                    reply.body = await response.read()
                else:
                    await _read_stream(response, reply, request.events(), request.leave_early)
        except TimeoutError:
            reply.error = "timeout"
        except (aiohttp.ClientError, OSError) as error:
            reply.error = type(error).__name__
        reply.ended = time.perf_counter()
        return reply


Act = Callable[[Client], Awaitable[Sequence[Reply]]]
"""Something that a user does: one request or several, one after another."""


def act(request: Request) -> Act:
    """Return the act of sending one request."""

    async def send(client: Client) -> Sequence[Reply]:
        return [await client.send(request)]

    return send


async def closed_loop(acts: Iterator[Act], clients: int, seconds: float = float("inf")) -> Run:
    """Run ``clients`` users, each of whom acts again as soon as it has its reply, until ``acts`` or the time is over."""
    replies: list[Reply] = []
    begun, cpu = time.perf_counter(), time.process_time()

    async def user(client: Client) -> None:
        while time.perf_counter() - begun < seconds and (next_act := next(acts, None)) is not None:
            replies.extend(await next_act(client))

    async with Client() as client, asyncio.TaskGroup() as users:
        for _ in range(clients):
            users.create_task(user(client))
    return Run(replies, time.perf_counter() - begun, time.process_time() - cpu)


async def open_loop(acts: Iterator[Act], rate: float, seconds: float, seed: int = 7) -> Run:
    """Act ``rate`` times a second on average, at random moments (a Poisson process), however slow the replies are."""
    replies: list[Reply] = []
    chance = random.Random(seed)
    begun, cpu = time.perf_counter(), time.process_time()

    async def one(client: Client, chosen: Act, due: float) -> None:
        done = await chosen(client)
        done[0].due = due
        replies.extend(done)

    async with Client() as client, asyncio.TaskGroup() as users:
        due = begun
        while (due := due + chance.expovariate(rate)) < begun + seconds:
            await asyncio.sleep(due - time.perf_counter())
            users.create_task(one(client, next(acts), due))
    return Run(replies, time.perf_counter() - begun, time.process_time() - cpu)


async def _read_stream(response: aiohttp.ClientResponse, reply: Reply, events: Events, leave_early: bool) -> None:
    waiting = b""
    async for part in response.content.iter_any():
        *whole, waiting = (waiting + part).split(b"\n\n")
        for event in whole:
            if events.take(event) and reply.first_text is None:
                reply.first_text = time.perf_counter()
        if leave_early and reply.first_text is not None:
            reply.error = LEFT
            response.close()
            return
    reply.tokens, reply.model = events.tokens, events.model
    reply.error = events.error or ("" if events.ended and reply.first_text is not None else "no end")


def _data(event: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(event.partition(b"data: ")[2])
    return document
