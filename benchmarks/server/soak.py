"""All ways in at a steady rate for a while: whether memory, descriptors, threads and the database stay as they are."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.server.figures import markdown, percentile
from benchmarks.server.load import LEFT, Act, AskEvents, Client, CompletionEvents, Reply, Request, Run, act, open_loop
from benchmarks.server.questions import docstring_questions
from benchmarks.server.running import RunningServer, assistant_server
from cia.corpus import Corpus
from cia.settings import Settings

WARM_UP_SECONDS = 60.0
"""Before the first sample: what is loaded once, and caches that fill, are no leak."""

SAMPLE_SECONDS = 5.0
FLAT_SHARE = 0.01
"""Memory is flat when the last third of the samples has on average at most this share more than the first."""

CAPTION = """\
Mixed traffic at {rate:g} acts a second for {minutes:g} minutes after a warm-up of {warm_up:.0f} s, {mode}: questions, streamed
questions of which some clients leave after the first words, searches, sources, conversations that are begun, continued, read,
rated and deleted, chat completions, and searches over MCP."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A server at one moment, all of its processes together. ``seconds`` is the time since the soak began."""

    seconds: float
    resident_bytes: int
    descriptors: int
    threads: int
    database_bytes: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Mean memory of the first and of the last third of the samples, in MB, and the slope between their middles."""

    first_megabytes: float
    last_megabytes: float
    megabytes_an_hour: float

    @property
    def is_flat(self) -> bool:
        """Whether the last third needs no more than the first, but for a hundredth."""
        return self.last_megabytes <= self.first_megabytes * (1 + FLAT_SHARE)

    def __str__(self) -> str:
        word = "flat" if self.is_flat else "growing"
        return (
            f"Memory is {word}: {self.first_megabytes:.1f} MB in the first third, {self.last_megabytes:.1f} MB in the last, "
            f"{self.megabytes_an_hour:+.1f} MB/h between them."
        )


def judge(samples: Sequence[Sample]) -> Verdict:
    """Return what the memory in ``samples`` (six or more, oldest first) says."""
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    (begun, before), (ended, after) = (
        (_mean(s.seconds for s in part), _mean(s.resident_bytes for s in part)) for part in (first, last)
    )
    return Verdict(before / 1e6, after / 1e6, (after - before) / 1e6 / (ended - begun) * 3600)


def measure_soak(settings: Settings, minutes: float, rate: float, warm_up: float = WARM_UP_SECONDS) -> str:
    """Return the tables and the verdict. With a model in the settings, it is what answers."""
    with assistant_server(settings) as server:
        asyncio.run(open_loop(_traffic(server, settings), rate, warm_up))
        run, samples = asyncio.run(_soaked(server, settings, minutes * 60, rate))
    mode = "with vLLM and the reciting model behind it" if settings.model.base_url else "without a model"
    caption = CAPTION.format(rate=rate, minutes=minutes, warm_up=warm_up, mode=mode)
    return f"{caption}\n\n{_minutes(samples)}\n\n{_requests(run)}\n\n{judge(samples)}"


async def _soaked(server: RunningServer, settings: Settings, seconds: float, rate: float) -> tuple[Run, list[Sample]]:
    samples: list[Sample] = []
    begun = time.perf_counter()

    async def watch() -> None:
        while True:
            samples.append(_sample(server, settings.home / "rag_server", time.perf_counter() - begun))
            await asyncio.sleep(SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    run = await open_loop(_traffic(server, settings), rate, seconds)
    watching.cancel()
    return run, samples


def _sample(server: RunningServer, database: Path, seconds: float) -> Sample:
    resident = descriptors = threads = 0
    for process in server.processes():
        with process.oneshot():
            resident += process.memory_info().rss
            descriptors += process.num_fds()
            threads += process.num_threads()
    return Sample(seconds, resident, descriptors, threads, sum(file.stat().st_size for file in database.glob("server.db*")))


def _traffic(server: RunningServer, settings: Settings, seed: int = 7) -> Iterator[Act]:
    """Yield acts in the proportions of ``weights``, for ever, each of another user with another question."""
    questions, keys = itertools.cycle(docstring_questions(settings)), itertools.cycle(server.keys)
    sources = itertools.cycle(
        f"{snapshot.repo}/{file.path}" for snapshot in Corpus(settings).snapshots() for file in snapshot.files
    )
    weights = {"ask": 25, "stream": 15, "leave": 10, "search": 15, "source": 10, "conversation": 5, "chat": 10, "mcp": 10}
    chance = random.Random(seed)
    while True:
        (kind,) = chance.choices(list(weights), list(weights.values()))
        yield _act(kind, server.address, next(keys), next(questions), next(sources))


def _act(kind: str, address: str, key: str, question: str, source: str) -> Act:
    ask, asked = f"{address}/v1/ask", {"question": question, "stream": True}
    match kind:
        case "stream":
            return act(Request(kind, "POST", ask, asked, key, AskEvents))
        case "leave":
            return act(Request(kind, "POST", ask, asked, key, AskEvents, leave_early=True))
        case "search":
            return act(Request(kind, "POST", f"{address}/v1/search", {"query": question}, key))
        case "source":
            return act(Request(kind, "GET", f"{address}/v1/sources/{source}?end=80", key=key))
        case "chat":
            body = {"model": "code-assistant", "messages": [{"role": "user", "content": question}], "stream": True}
            return act(Request(kind, "POST", f"{address}/v1/chat/completions", body, key, CompletionEvents))
        case "mcp":
            return act(Request(kind, "POST", f"{address}/mcp", _tool_call(question), key))
        case "conversation":
            return _conversation(address, key, question)
        case _:
            return act(Request("ask", "POST", ask, {"question": question}, key))


def _conversation(address: str, key: str, question: str) -> Act:
    """A conversation of two questions, read, rated and deleted."""

    async def converse(client: Client) -> Sequence[Reply]:
        replies = [
            await client.send(Request("begin", "POST", f"{address}/v1/ask", {"question": question, "conversation": "new"}, key))
        ]
        if replies[0].error:
            return replies
        answer = json.loads(replies[0].body)
        url = f"{address}/v1/conversations/{answer['conversation']}"
        follow_up = {"question": "and where is it tested?", "conversation": answer["conversation"]}
        requests = (
            Request("follow up", "POST", f"{address}/v1/ask", follow_up, key),
            Request("rate", "POST", f"{address}/v1/feedback", {"trace_id": answer["trace_id"], "rating": "up"}, key),
            Request("read", "GET", url, key=key),
            Request("list", "GET", f"{address}/v1/conversations", key=key),
            Request("delete", "DELETE", url, key=key),
        )
        return replies + [await client.send(request) for request in requests]

    return converse


def _tool_call(query: str) -> dict[str, Any]:
    params = {"name": "search_code", "arguments": {"query": query}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def _minutes(samples: Sequence[Sample]) -> str:
    every = round(60 / SAMPLE_SECONDS)
    chosen = list(samples[::every])
    if chosen[-1] is not samples[-1]:
        chosen.append(samples[-1])
    rows = [(s.seconds / 60, s.resident_bytes / 1e6, s.descriptors, s.threads, s.database_bytes / 1e6) for s in chosen]
    return markdown(("minute", "resident MB", "descriptors", "threads", "database MB"), rows)


def _requests(run: Run) -> str:
    rows = []
    for name in dict.fromkeys(reply.name for reply in run.replies):
        of_kind = [reply for reply in run.replies if reply.name == name]
        delays = [reply.milliseconds for reply in of_kind if not reply.error]
        errors = Counter(reply.error for reply in of_kind if reply.error and reply.error != LEFT)
        left = sum(reply.error == LEFT for reply in of_kind)
        told = ", ".join(f"{count} x {error}" for error, count in errors.items()) or "none"
        rows.append((name, len(of_kind), left, percentile(delays, 0.5), percentile(delays, 0.99), told))
    return markdown(("request", "sent", "left early", "p50 ms", "p99 ms", "errors"), rows)


def _mean(values: Iterator[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
