"""Tokens a day: what each user may have a model read and write until midnight (UTC)."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage, Storage

from cia.errors import LimitError
from rag_server.limits.redis_link import TIMEOUT_SECONDS, RedisLink

DAY_SECONDS = 24 * 3600


class TokenBudget:
    """Counts each user's tokens of the day, in this process or in Redis. May be called from any thread, and blocks for Redis."""

    def __init__(self, link: RedisLink, daily_tokens: int, now: Callable[[], datetime.datetime] | None = None) -> None:
        self._link = link
        self._daily = daily_tokens
        self._now = now or (lambda: datetime.datetime.now(datetime.UTC))
        self._memory = MemoryStorage()
        self._redis: Storage | None = None
        if link.url is not None:
            self._redis = RedisStorage(
                link.url,
                wrap_exceptions=True,
                key_prefix="cia",
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=None,  # type: ignore[arg-type]  # counting in memory is better than waiting
            )

    def check(self, user: str) -> None:
        """Raise LimitError when the day's tokens of ``user`` are spent; it says how long it is until midnight."""
        if self._ask(lambda storage: storage.get(self._key(user))) >= self._daily:
            now = self._now()
            midnight = datetime.datetime.combine(now.date() + datetime.timedelta(days=1), datetime.time(), datetime.UTC)
            raise LimitError(
                f"the {self._daily} tokens that you may use a day are spent; there are more at midnight (UTC)",
                (midnight - now).total_seconds(),
            )

    def spend(self, user: str, tokens: int) -> None:
        """Count the tokens of an answer, prompt and completion together. The last answer of a day may go over the budget."""
        if tokens > 0:
            self._ask(lambda storage: storage.incr(self._key(user), DAY_SECONDS, tokens))

    def _key(self, user: str) -> str:
        return f"tokens/{self._now():%Y-%m-%d}/{user}"

    def _ask(self, question: Callable[[Storage], int]) -> int:
        if self._redis is not None and self._link.is_worth_asking:
            try:
                answer = question(self._redis)
            except StorageError as error:
                self._link.failed(error.storage_error)
            else:
                self._link.answered()
                return answer
        return question(self._memory)
