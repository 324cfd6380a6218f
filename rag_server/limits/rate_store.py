"""Where requests are counted: in this process, or in Redis for several."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from rag_server.limits.redis_link import TIMEOUT_SECONDS, RedisLink

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Spent:
    """A limit that is spent; asking works again after ``seconds``."""

    item: RateLimitItem
    seconds: float


class RateStore:
    """Counts in moving windows: at no moment were there more hits within a window than allowed."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._redis: MovingWindowRateLimiter | None = None
        if link.url is not None:
            storage = RedisStorage(
                f"async+{link.url}",
                wrap_exceptions=True,
                implementation="redispy",
                key_prefix="cia",
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=None,  # type: ignore[arg-type]  # counting in memory is better than waiting
            )
            self._redis = MovingWindowRateLimiter(storage)

    async def hit(self, item: RateLimitItem, *who: str) -> Spent | None:
        """Count one hit of ``who`` and return None, or count nothing and return what is spent."""

        async def attempt(windows: MovingWindowRateLimiter) -> Spent | None:
            return None if await windows.hit(item, *who) else await _spent(windows, item, who)

        return await self._ask(attempt)

    async def peek(self, item: RateLimitItem, *who: str) -> Spent | None:
        """Return what is spent, or None, and count nothing."""

        async def attempt(windows: MovingWindowRateLimiter) -> Spent | None:
            return None if await windows.test(item, *who) else await _spent(windows, item, who)

        return await self._ask(attempt)

    async def _ask(self, attempt: Callable[[MovingWindowRateLimiter], Awaitable[Outcome]]) -> Outcome:
        if self._redis is not None and self._link.is_worth_asking:
            try:
                outcome = await attempt(self._redis)
            except StorageError as error:
                self._link.failed(error.storage_error)
            else:
                self._link.answered()
                return outcome
        return await attempt(self._memory)


async def _spent(windows: MovingWindowRateLimiter, item: RateLimitItem, who: tuple[str, ...]) -> Spent:
    stats = await windows.get_window_stats(item, *who)
    return Spent(item, max(0.0, stats.reset_time - time.time()))
