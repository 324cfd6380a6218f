"""The server without a model, over some 10,000 chunks: the most requests a second, and the delay at half of that."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Sequence

from benchmarks.server.figures import markdown, percentile
from benchmarks.server.load import Act, Request, Run, act, closed_loop, open_loop
from benchmarks.server.questions import docstring_questions
from benchmarks.server.running import RunningServer, assistant_server
from cia.settings import Settings

CLIENTS = 16
WARM_UP_SECONDS = 5.0

CAPTION = """\
`POST /v1/ask` without a model over {chunks:,} chunks: {questions:,} different questions (first sentences of docstrings), asked by
{users} users in turn. The peak is what {clients} clients reach that ask again as soon as they are answered. The delays are those
of random arrivals (a Poisson process) at half of that rate, each from the moment it was due. "Server CPU" is that of a request at
the peak; server and load generator share the machine's {cores} cores."""


def measure_extractive(settings: Settings, chunks: int, workers: Sequence[int], seconds: float, cores: int) -> str:
    """Return the table: a row for each number of worker processes, ``seconds`` of load in each of both loops."""
    questions = docstring_questions(settings)
    rows: list[tuple[str | int | float, ...]] = []
    for count in workers:
        with assistant_server(settings, count) as server:
            acts = _asked(server, questions)
            asyncio.run(closed_loop(acts, CLIENTS, WARM_UP_SECONDS))
            spent = server.cpu_seconds()
            peak = asyncio.run(closed_loop(acts, CLIENTS, seconds))
            spent = server.cpu_seconds() - spent
            rate = len(peak.whole) / peak.seconds
            half = asyncio.run(open_loop(acts, rate / 2, seconds))
        rows.append(_row(count, peak, 1000 * spent / len(peak.replies), half))
        users = len(server.keys)
    columns: tuple[str, ...] = ("workers", "peak requests/s", "errors", "server CPU ms", "generator cores", "half: requests/s")
    columns += ("p50 ms", "p95 ms", "p99 ms", "errors at half", "generator cores at half", "declined")
    caption = CAPTION.format(chunks=chunks, questions=len(questions), users=users, clients=CLIENTS, cores=cores)
    return f"{caption}\n\n{markdown(columns, rows)}"


def _row(workers: int, peak: Run, server_milliseconds: float, half: Run) -> tuple[str | int | float, ...]:
    delays = [reply.milliseconds for reply in half.whole]
    declined = sum(json.loads(reply.body)["abstained"] for reply in half.whole) / max(1, len(half.whole))
    return (
        workers,
        len(peak.whole) / peak.seconds,
        peak.errors.total(),
        server_milliseconds,
        f"{peak.cpu_seconds / peak.seconds:.2f}",
        len(half.whole) / half.seconds,
        *(percentile(delays, share) for share in (0.5, 0.95, 0.99)),
        half.errors.total(),
        f"{half.cpu_seconds / half.seconds:.2f}",
        f"{declined:.0%}",
    )


def _asked(server: RunningServer, questions: Sequence[str]) -> Iterator[Act]:
    for question, key in zip(itertools.cycle(questions), itertools.cycle(server.keys), strict=False):
        yield act(Request("ask", "POST", f"{server.address}/v1/ask", {"question": question}, key))
