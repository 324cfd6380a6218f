"""Sends what arrives when it arrives, and looks at it once an interval."""

from __future__ import annotations

import asyncio
import itertools
import resource
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from inference_services.load.arrivals import Stage, arrivals
from inference_services.load.client import Outcome, Target, ask
from inference_services.load.report import Interval, LoadReport

if TYPE_CHECKING:
    import aiohttp

SHORTEST_SHARE = 0.1
"""Of an interval; what is left at the end of a run is shown when it is longer, or when something ended in it."""

MOST_OPEN = 4096
"""Requests on their way at once; of one more it is said that it was not sent, instead of running out of sockets."""

REPLICA_SECONDS = 1.0
NOT_SENT = f"not sent, {MOST_OPEN} were open"


async def generate(
    target: Target,
    stages: Sequence[Stage],
    questions: Sequence[str],
    *,
    interval_seconds: float = 5.0,
    timeout_seconds: float = 120.0,
    seed: int = 7,
    observe: Callable[[Interval], None] = lambda _: None,
    count_replicas: Callable[[], int | None] = lambda: None,
) -> LoadReport:
    """Put ``questions`` in turn to ``target`` as ``stages`` say, wait for the last answer, and return the figures.

    ``observe`` gets each interval at its end. ``count_replicas`` is called in a thread, as it may wait for a cluster.
    Cancelled (Ctrl-C), it gives up what is on its way and returns the figures so far.
    """
    import aiohttp

    _allow_sockets(MOST_OPEN)
    run = _Run(target, interval_seconds, observe, count_replicas)
    connector = aiohttp.TCPConnector(limit=0)  # a pool that makes requests wait would close the loop again
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        watchers = [asyncio.create_task(run.watch()), asyncio.create_task(run.follow_replicas())]
        try:
            for moment, question in zip(arrivals(stages, seed), itertools.cycle(questions), strict=False):
                due = run.begun + moment
                await asyncio.sleep(due - time.perf_counter())
                run.send(session, question, due)
            await _until(run.begun + sum(stage.seconds for stage in stages))
            await asyncio.gather(*run.open)
        except asyncio.CancelledError:
            for task in run.open:
                task.cancel()
        ended = time.perf_counter()
        for watcher in watchers:
            watcher.cancel()
        run.look(ended)
    return LoadReport(target.url, stages, ended - run.begun, run.outcomes, run.intervals)


class _Run:
    """What is on its way, what came of the rest, and the intervals so far."""

    def __init__(
        self,
        target: Target,
        interval_seconds: float,
        observe: Callable[[Interval], None],
        count_replicas: Callable[[], int | None],
    ) -> None:
        self.begun = time.perf_counter()
        self.open: set[asyncio.Task[None]] = set()
        self.outcomes: list[Outcome] = []
        self.intervals: list[Interval] = []
        self._target = target
        self._length = interval_seconds
        self._observe = observe
        self._count_replicas = count_replicas
        self._replicas: int | None = None
        self._seen, self._due, self._looked = 0, 0, self.begun

    def send(self, session: aiohttp.ClientSession, question: str, due: float) -> None:
        """Begin a request; its outcome comes when it comes."""
        self._due += 1
        if len(self.open) >= MOST_OPEN:
            now = time.perf_counter()
            self.outcomes.append(Outcome(due, now, now, error=NOT_SENT))
            return
        task = asyncio.create_task(self._ask(session, question, due))
        self.open.add(task)
        task.add_done_callback(self.open.discard)

    async def watch(self) -> None:
        """Look once an interval, for ever."""
        for number in itertools.count(1):
            await _until(self.begun + number * self._length)
            self.look(time.perf_counter())

    async def follow_replicas(self) -> None:
        """Keep the number of replicas, for ever; a cluster that is slow holds nothing up."""
        while True:
            self._replicas = await asyncio.to_thread(self._count_replicas)
            await asyncio.sleep(REPLICA_SECONDS)

    def look(self, now: float) -> None:
        """Add the interval that ends now."""
        ended, length = self.outcomes[self._seen :], now - self._looked
        if length < SHORTEST_SHARE * self._length and not ended:
            return
        interval = Interval.of(ended, now - self.begun, length, self._due, len(self.open), self._replicas)
        self._seen, self._due, self._looked = len(self.outcomes), 0, now
        self.intervals.append(interval)
        self._observe(interval)

    async def _ask(self, session: aiohttp.ClientSession, question: str, due: float) -> None:
        self.outcomes.append(await ask(session, self._target, question, due))


async def _until(moment: float) -> None:
    await asyncio.sleep(moment - time.perf_counter())


def _allow_sockets(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
