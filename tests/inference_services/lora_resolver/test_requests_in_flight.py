"""An adapter is in use from the moment a request looks it up until the last byte of the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from code_assistant_lora_resolver.loaded_adapters import LoadedAdapters
from code_assistant_lora_resolver.name_locks import NameLocks
from code_assistant_lora_resolver.requests_in_flight import FollowRequests, RequestsInFlight

NAME = "code-assistant:1"


def request(app: Callable[[], Awaitable[None]], requests: RequestsInFlight) -> asyncio.Task[None]:
    async def asgi(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await app()

    return asyncio.create_task(FollowRequests(asgi, requests)({"type": "http"}, None, None))  # type: ignore[arg-type]


async def test_a_stream_uses_its_adapter_after_its_handler_has_returned() -> None:
    requests = RequestsInFlight()
    loaded = LoadedAdapters({NAME: object()}, requests)
    streaming, end = asyncio.Event(), asyncio.Event()

    async def handler() -> None:
        assert NAME in loaded

    async def app() -> None:
        await asyncio.create_task(handler())  # vLLM runs its handlers in a task of their own
        streaming.set()
        await end.wait()

    running = request(app, requests)
    await streaming.wait()
    assert requests.has(NAME)
    end.set()
    await running
    assert not requests.has(NAME)


async def test_two_requests_are_counted_and_a_second_look_is_not() -> None:
    requests = RequestsInFlight()
    loaded = LoadedAdapters({NAME: object()}, requests)
    ends = [asyncio.Event(), asyncio.Event()]

    async def app(end: asyncio.Event) -> None:
        assert NAME in loaded
        assert NAME in loaded
        await end.wait()

    running = [request(lambda end=end: app(end), requests) for end in ends]  # type: ignore[misc]
    await asyncio.sleep(0)
    for end, task in zip(ends, running, strict=True):
        assert requests.has(NAME)
        end.set()
        await task
    assert not requests.has(NAME)


async def test_a_request_that_fails_or_is_cut_off_is_over() -> None:
    requests = RequestsInFlight()
    loaded = LoadedAdapters({}, requests)

    async def app() -> None:
        assert NAME not in loaded, "it is being resolved: looked up, not loaded"
        await asyncio.Event().wait()

    running = request(app, requests)
    await asyncio.sleep(0)
    assert requests.has(NAME)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not requests.has(NAME)


async def test_what_a_request_leaves_behind_is_not_counted_for_it() -> None:
    requests = RequestsInFlight()
    loaded = LoadedAdapters({}, requests)
    go, left = asyncio.Event(), []

    async def later() -> None:
        await go.wait()
        assert NAME not in loaded

    async def app() -> None:
        left.append(asyncio.create_task(later()))

    await request(app, requests)
    go.set()
    await left[0]
    assert not requests.has(NAME)


async def test_the_last_look_is_kept_for_loaded_adapters_only() -> None:
    loaded = LoadedAdapters({NAME: object()}, RequestsInFlight())
    assert "unknown" not in loaded
    assert loaded.last_look("unknown") == 0.0
    assert NAME in loaded
    assert loaded.last_look(NAME) > 0
    del loaded[NAME]
    assert loaded.last_look(NAME) == 0.0


async def test_one_lock_for_a_name_while_it_is_needed_and_none_afterwards() -> None:
    locks = NameLocks()
    inside: list[str] = []

    async def resolve() -> None:
        async with locks[NAME]:
            inside.append(NAME)
            assert len(inside) == 1, "two resolved the same name at once"
            await asyncio.sleep(0.01)
            inside.clear()

    await asyncio.gather(resolve(), resolve(), resolve())
    for number in range(1000):
        async with locks[f"unknown-{number}"]:
            assert len(locks) == 1
    assert len(locks) == 0
