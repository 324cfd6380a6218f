"""What the cache must know of the server that it belongs to, before it gives a version up."""

from __future__ import annotations

from typing import Protocol


class Server(Protocol):
    """vLLM's API server, as ``VllmServer`` shows it."""

    def uses(self, name: str) -> bool:
        """Whether a request runs or waits on the adapter, or has looked it up and not ended. Any thread may ask."""

    def last_use(self, name: str) -> float:
        """When a request asked for the adapter, in seconds since 1970; 0.0 when it is not loaded."""

    async def unload(self, name: str) -> None:
        """Stop serving the adapter; nothing happens when it is not served."""
