"""A version that vLLM is to serve: asked for before a request names it, again when vLLM has lost it, with patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from cia.errors import UnavailableError

AT_ONCE_SECONDS = 0.5
"""A version that vLLM has loaded by then is named in the same step; a slower one in a later step."""

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
"""What was refused is asked for again after a pause that doubles: the registry comes back, somebody frees a disk."""


class Followed:
    """Follows one wish at a time. ``resolve`` has vLLM load a name, and raises as ``VllmClient.resolve`` does.

    ``served`` is the name that requests may use, ``problem`` why the wish is refused. With ``keeps_the_last`` a refused wish
    leaves the former name, also where vLLM has lost that one: whoever names it makes vLLM look for it again.
    """

    def __init__(self, resolve: Callable[[str], None], keeps_the_last: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.served: str | None = None
        self.problem = ""
        self._resolve = resolve
        self._keeps_the_last = keeps_the_last
        self._clock = clock
        self._wanted: str | None = None
        self._attempt: _Attempt | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._not_before = 0.0

    def follow(self, wanted: str | None, listed: Collection[str]) -> None:
        """Take a step towards ``wanted``; ``listed`` is what vLLM serves now. Takes half a second at most."""
        if wanted != self._wanted:
            # Whatever comes of an attempt at the former wish is nobody's concern any more.
            self._wanted, self._attempt, self.problem = wanted, None, ""
            self._let_go()
            self.try_at_once()
        if wanted is None or wanted in listed:
            self._settle()
            return
        if self._attempt is None and self._clock() >= self._not_before:
            self._attempt = _Attempt(self._resolve, wanted)
        if self._attempt is not None and self._attempt.is_over():
            self._conclude(self._attempt)

    def try_at_once(self) -> None:
        """Forget the pause: what refused the wish is not what it was."""
        self._pause, self._not_before = FIRST_PAUSE_SECONDS, 0.0

    def _conclude(self, attempt: _Attempt) -> None:
        self._attempt = None
        if attempt.error is None:
            self._settle()
        elif not isinstance(attempt.error, UnavailableError):  # a model server that is away refuses nothing
            self.problem = " ".join(str(attempt.error).split()) or type(attempt.error).__name__
            self._not_before = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            self._let_go()

    def _settle(self) -> None:
        self.served, self.problem, self._attempt = self._wanted, "", None
        self.try_at_once()

    def _let_go(self) -> None:
        if not self._keeps_the_last:
            self.served = None


class _Attempt:
    """One call of ``resolve`` in a thread of its own: a registry that hangs holds up neither a newer wish nor the watcher."""

    def __init__(self, resolve: Callable[[str], None], name: str) -> None:
        self.error: Exception | None = None
        self._resolve = resolve
        self._name = name
        self._thread = threading.Thread(target=self._run, name=f"resolve {name}", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether it has ended, which is waited for a moment."""
        self._thread.join(AT_ONCE_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._resolve(self._name)
        except Exception as error:  # whatever it is, the former version goes on
            self.error = error
