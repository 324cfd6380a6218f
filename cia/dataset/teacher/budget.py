"""Money that several askers share, reserved before it is spent."""

from __future__ import annotations

import asyncio


class Budget:
    """Lets a request begin only when its highest price still fits under ``cap``, whatever else is under way."""

    def __init__(self, cap: float, spent: float) -> None:
        self._cap = cap
        self.spent = spent
        self._reserved: list[float] = []
        self._changed = asyncio.Condition()

    async def reserve(self, price: float) -> bool:
        """Return True when ``price`` is reserved, False when it cannot be even after all that is under way has ended."""
        async with self._changed:
            while self.spent + sum(self._reserved) + price > self._cap:
                if not self._reserved:
                    return False
                await self._changed.wait()
            self._reserved.append(price)
            return True

    async def settle(self, reserved: float, price: float) -> None:
        """Put ``price`` in the place of what was ``reserved``."""
        async with self._changed:
            self._reserved.remove(reserved)
            self.spent += price
            self._changed.notify_all()
