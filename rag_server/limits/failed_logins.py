"""Wrong credentials: a few from one address, then none is looked at for a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from limits import RateLimitItem, RateLimitItemPerMinute
from starlette.types import Scope

from cia.errors import AccessError, LimitError
from rag_server.limits.client_address import client_address
from rag_server.limits.rate_store import RateStore, Spent


class FailedLogins:
    """Counts failures by client address."""

    def __init__(self, store: RateStore, per_minute: int) -> None:
        self._store = store
        self._item: RateLimitItem = RateLimitItemPerMinute(per_minute, namespace="failed-logins")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def counted(self, scope: Scope) -> AsyncIterator[None]:
        """Run the block, which looks at a credential. An AccessError in it counts; after too many it is not run.

        Raises LimitError then. One address is looked at once at a time, or many guesses sent together would all be looked at.
        """
        address = client_address(scope)
        turn = self._turns.setdefault(address, asyncio.Lock())
        async with turn:
            if (spent := await self._store.peek(self._item, address)) is not None:
                raise _too_many(spent)
            try:
                yield
            except AccessError:
                await self._store.hit(self._item, address)
                raise


def _too_many(spent: Spent) -> LimitError:
    return LimitError("too many wrong keys or tokens came from your address; wait before trying again", spent.seconds)
