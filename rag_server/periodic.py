"""Work that a thread repeats in the background until it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Periodic:
    """Calls ``work`` at once and then every ``seconds``, in a daemon thread. ``work`` must not raise."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        self._seconds = seconds
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin. Once only."""
        self._thread.start()

    def stop(self, wait_seconds: float = 2.0) -> None:
        """Ask it to end; work under way is given ``wait_seconds``."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(wait_seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._work()
            self._stop.wait(self._seconds)
