"""Answers from a generator that works in a thread: whole, or as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator
from typing import Any, Generic, TypeVar

from starlette.requests import Request

from cia.answering.answer import Answer
from cia.answering.assistant import Event, Sources
from cia.retrieval.result import SearchResult
from rag_server.errors import describe

Item = TypeVar("Item")
Result = TypeVar("Result")


class ThreadedStream(Generic[Item]):
    """Iterates ``items`` in one thread and hands them to the event loop.

    Closing it tells the thread to stop at the next item and to close ``items``, which closes the model's stream with it.
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Item | Exception | None] = asyncio.Queue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="answer-stream", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nobody wants the rest."""
        self._closed.set()

    async def next(self) -> Item | None:
        """Return the next item, or None at the end. Raises what the generator raised."""
        item = await self._queue.get()
        if isinstance(item, Exception):
            raise item
        return item

    def _work(self) -> None:
        end: Exception | None = None
        try:
            for item in self._items:
                if self._closed.is_set():
                    break
                self._hand_over(item)
        except Exception as error:
            end = error
        finally:
            if isinstance(self._items, Generator):
                self._items.close()
            self._hand_over(end)

    def _hand_over(self, item: Item | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:  # the loop has ended, and the client with it
            self._closed.set()


async def while_connected(request: Request, stream: ThreadedStream[Event], reading: Awaitable[Result]) -> Result | None:
    """Return what ``reading`` comes to, or None as soon as the client has left. Then ``stream`` is closed: the model stops.

    Raises what ``reading`` raises.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    read, left = asyncio.ensure_future(reading), asyncio.ensure_future(gone())
    try:
        await asyncio.wait((read, left), return_when=asyncio.FIRST_COMPLETED)
        return read.result() if read.done() else None
    finally:
        stream.close()
        read.cancel()
        left.cancel()


async def read_answer(stream: ThreadedStream[Event]) -> tuple[Answer, tuple[SearchResult, ...]]:
    """Read ``stream`` to its end; return the answer and the sources that it rests on. Raises what the stream raises."""
    sources: tuple[SearchResult, ...] = ()
    answer: Answer | None = None
    while (event := await stream.next()) is not None:
        sources = event.results if isinstance(event, Sources) else sources
        answer = event if isinstance(event, Answer) else None
    assert answer is not None, "the last event is the answer"
    return answer, sources


async def as_server_sent_events(first: Event | None, stream: ThreadedStream[Event], log: Any) -> AsyncIterator[bytes]:
    """Yield ``sources``, ``token`` and ``answer`` events; an ``error`` event ends a stream that failed on the way."""
    try:
        event = first
        while event is not None:
            yield _encode(*_named(event))
            event = await stream.next()
    except Exception as error:
        log.error("stream failed", error=type(error).__name__, exc_info=False)
        yield _encode("error", describe(error)[1])
    finally:
        stream.close()


def _named(event: Event) -> tuple[str, dict[str, Any]]:
    if isinstance(event, Sources):
        return "sources", {"sources": [result.as_json() for result in event.results]}
    if isinstance(event, Answer):
        return "answer", event.as_json()
    return "token", {"text": event.text}


def _encode(name: str, document: dict[str, Any]) -> bytes:
    # json.dumps escapes line feeds, so that the document is one line, as "data:" wants it.
    return f"event: {name}\ndata: {json.dumps(document)}\n\n".encode()
