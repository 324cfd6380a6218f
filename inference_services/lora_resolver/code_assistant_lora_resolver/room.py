"""The bounds of the cache: how many versions, how many bytes, and which one goes when another comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from code_assistant_lora_resolver.adapter_cache import AdapterCache, CachedVersion
from code_assistant_lora_resolver.errors import AdapterRefused, NotNow
from code_assistant_lora_resolver.server import Server

MIB = 1 << 20


class Room:
    """Room for ``versions`` versions of ``bytes`` bytes together.

    The version that goes is the one that was used longest ago, of those that no request uses. Its name is unloaded first: vLLM
    reads a loaded adapter's files again when its memory has dropped it, and an engine that finds them gone dies.
    """

    def __init__(self, cache: AdapterCache, model: str, versions: int, bytes: int) -> None:
        self._cache = cache
        self._model = model
        self._versions = versions
        self._bytes = bytes
        self._coming: list[int] = []
        self._making = asyncio.Lock()

    async def expect(self, name: str, size: int, server: Server) -> None:
        """Find out whether room for ``size`` bytes could be made, before they are fetched; nothing goes yet.

        Raises AdapterRefused when they could never fit, NotNow when what is in their way is in use.
        """
        if size > self._bytes:
            raise AdapterRefused(f"{name} takes {size // MIB} MiB; the adapter cache holds {self._bytes // MIB} MiB")
        there = await asyncio.to_thread(self._cache.contents)
        if not self._fits([version for version in there if server.uses(self._name(version))], size):
            raise self._full(name, there)

    @asynccontextmanager
    async def made(self, name: str, size: int, server: Server) -> AsyncIterator[None]:
        """Let versions go until there is room for ``size`` bytes, and keep that room while the block takes it.

        Raises NotNow when every version in the way is in use.
        """
        async with self._making:
            await self._make(name, size, server)
            self._coming.append(size)
        try:
            yield
        finally:
            self._coming.remove(size)

    async def _make(self, name: str, size: int, server: Server) -> None:
        kept: set[Path] = set()
        while not self._fits(there := await asyncio.to_thread(self._cache.contents), size):
            idle = [version for version in there if version.path not in kept and not server.uses(self._name(version))]
            if not idle:
                raise self._full(name, there)
            oldest = min(idle, key=lambda version: max(version.last_used, server.last_use(self._name(version))))
            if not await self._give_up(oldest, server):
                kept.add(oldest.path)

    def _fits(self, there: list[CachedVersion], size: int) -> bool:
        total = sum(version.bytes for version in there) + sum(self._coming) + size
        return len(there) + len(self._coming) + 1 <= self._versions and total <= self._bytes

    async def _give_up(self, version: CachedVersion, server: Server) -> bool:
        name = self._name(version)
        if version.held and version.number is not None:
            await server.unload(name)
        return await asyncio.to_thread(self._cache.remove, version.path, lambda: server.uses(name))

    def _full(self, name: str, there: list[CachedVersion]) -> NotNow:
        return NotNow(
            f"there is no room for {name}: the {len(there)} adapters in the cache are in use; "
            "ask again when their answers have ended, or give the cache more room"
        )

    def _name(self, version: CachedVersion) -> str:
        return f"{self._model}:{version.number}"
