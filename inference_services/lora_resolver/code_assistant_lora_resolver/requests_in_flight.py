"""Which adapters the requests now in the server have looked up: from the look until the last byte of the reply.

vLLM's handlers look a name up, then read the prompt, and only then hand the request to the engine; a stream looks first and runs
long after its handler returned. So what counts is the HTTP request: a context variable carries it into every task made for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(slots=True)
class _Request:
    names: set[str] = field(default_factory=set)
    ended: bool = False


_present: ContextVar[_Request | None] = ContextVar("present_request", default=None)


class RequestsInFlight:
    """How many requests now in the server have looked up each adapter. Changed on the server's event loop only."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()

    def look(self, name: str) -> None:
        """Count the present HTTP request among those of ``name``, until its reply has ended."""
        request = _present.get()
        if request is not None and not request.ended and name not in request.names:
            request.names.add(name)
            self._requests[name] += 1

    def has(self, name: str) -> bool:
        """Whether a request that has looked up ``name`` is still in the server. Any thread may ask."""
        return self._requests[name] > 0

    def end(self, request: _Request) -> None:
        """Take back what ``request`` was counted for."""
        request.ended = True
        for name in request.names:
            self._requests[name] -= 1
            if self._requests[name] <= 0:
                del self._requests[name]


class FollowRequests:
    """ASGI middleware under which every request is counted for the names that it looks up, until its reply has ended."""

    def __init__(self, app: Application, requests: RequestsInFlight) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope."""
        request = _Request()
        token = _present.set(request)
        try:
            await self._app(scope, receive, send)
        finally:
            _present.reset(token)
            self._requests.end(request)
