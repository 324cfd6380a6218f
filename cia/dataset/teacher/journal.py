"""Every request to a teacher and every reply, kept so that nothing is asked, or paid for, twice.

A file of JSON Lines that only grows. A request is written down and flushed to the disk before it is sent, its reply before
the next one is. A process that is killed between the two leaves a request without a reply: nobody knows whether it was
answered, so that it counts at its highest price and is not sent again.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from cia.durable_files import disk_errors
from cia.errors import OperationError


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered to ``messages``, its token counts, and what it cost in the currency of the settings' prices."""

    key: str
    model: str
    base_url: str
    messages: list[dict[str, str]]
    text: str
    prompt_tokens: int
    completion_tokens: int
    price: float


class Journal:
    """The requests and replies of ``path``. Use it as a context manager, by one process at a time (``durable_files.exclusive``).

    ``spent`` is the price of all of them, replies that never came and tries that ran out of time at their highest price.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replies: dict[str, Reply] = {}
        self.refused: set[str] = set()
        self._under_way: dict[str, float] = {}
        self._lost_price = 0.0

    def __enter__(self) -> Journal:
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._read()
            self._file = self.path.open("ab")
            self._file.truncate(whole)  # a line that a killed process left half-written
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    @property
    def spent(self) -> float:
        """What all requests have cost, or may have."""
        return sum(reply.price for reply in self.replies.values()) + sum(self._under_way.values()) + self._lost_price

    def is_settled(self, key: str) -> bool:
        """Whether this was asked: answered, refused, or under way when a process was killed."""
        return key in self.replies or key in self.refused or key in self._under_way

    def unanswered(self) -> int:
        """Return how many requests were under way when a process was killed."""
        return len(self._under_way)

    def asking(self, key: str, highest_price: float) -> None:
        """Write down a request that is about to be sent."""
        self._write({"event": "asking", "key": key, "highest_price": highest_price})

    def answered(self, reply: Reply) -> None:
        """Keep a reply."""
        self._write({"event": "answered", **asdict(reply)})

    def failed(self, key: str, price: float, why: str) -> None:
        """Write down that a try brought nothing, and may have cost ``price``. There may be another."""
        self._write({"event": "failed", "key": key, "price": price, "why": why})

    def refused_for_good(self, key: str, why: str) -> None:
        """Write down that this is never to be sent again."""
        self._write({"event": "refused", "key": key, "why": why})

    def _write(self, entry: dict[str, Any]) -> None:
        with disk_errors(self.path):
            self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self._take(entry)

    def _read(self) -> int:
        """Take what was written before; return the length of its whole lines in bytes."""
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                raise OperationError(
                    f"{self.path} line {number} is not a request or a reply; move the file away to ask the teacher anew"
                ) from None
        return whole

    def _take(self, entry: dict[str, Any]) -> None:
        event, key = entry.pop("event"), entry["key"]
        if event == "asking":
            self._under_way[key] = entry["highest_price"]
            return
        self._under_way.pop(key, None)
        if event == "answered":
            self.replies[key] = Reply(**entry)
        elif event == "refused":
            self.refused.add(key)
        else:
            self._lost_price += entry["price"]
