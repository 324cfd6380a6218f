"""A lock for each name that is being resolved, and for no other."""

from __future__ import annotations

from asyncio import Lock
from weakref import WeakValueDictionary


class NameLocks:
    """In the place of ``OpenAIServingModels.lora_resolver_lock``, which keeps a lock for every name that was ever asked for.

    That would be a way to fill the server's memory with unknown names. Here a lock lives as long as somebody holds or awaits it.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def __getitem__(self, name: str) -> Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = Lock()
        return lock

    def __len__(self) -> int:
        return len(self._locks)
