"""The server against vLLM itself: what it adds to the first token, and what it costs in tokens a second."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.server.figures import markdown, percentile
from benchmarks.server.load import Act, AskEvents, CompletionEvents, Reply, Request, Run, act, closed_loop
from benchmarks.server.questions import docstring_questions, requests_to_model
from benchmarks.server.running import RunningServer, assistant_server, reciting_vllm
from cia.errors import OperationError
from cia.settings import Settings

STREAMS = (1, 16, 64)
QUESTIONS = 64
CANDIDATES = 96
"""Some are declined before any model is asked, and a few prompts are longer than they were estimated to be."""

WARM_UP_STREAMS = 8

CAPTION = """\
The same prompts and the same limit of tokens, sent to vLLM directly and asked of `POST /v1/ask`, in turns, as streams. vLLM runs
on the CPU with one thread for the model, beside its own API process, the server and the load generator. The model is a Llama of
the size of the shipped base model, with weights that recite: whatever it is asked, it writes {tokens} tokens, words with
a citation among them, so that each request is exactly one generation of full length. Every prompt was sent once before, so that
both ways find it in vLLM's prefix cache, and reading it hides nothing of what the server adds. "Grown" is how much later the
first token comes at p50, less the mean of `cia_retrieval_seconds`; "server CPU" is for one answer."""


@dataclass(slots=True)
class Measured:
    """All replies of one way to ask with one number of streams; seconds of its turns together."""

    replies: list[Reply]
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, run: Run) -> None:
        """Add a turn. Raises OperationError when a reply was not whole: a table over half the answers would be none."""
        if run.errors:
            raise OperationError(f"not every request was answered: {dict(run.errors)}")
        self.replies += run.replies
        self.seconds += run.seconds
        self.cpu_seconds += run.cpu_seconds

    def first_text(self, share: float) -> float:
        """Return a percentile of the time to the first text in milliseconds."""
        return percentile([reply.first_text_milliseconds for reply in self.replies], share)

    @property
    def tokens_a_second(self) -> float:
        """Tokens that were written, over the time of all turns."""
        return sum(reply.tokens for reply in self.replies) / self.seconds


def measure_against_vllm(settings: Settings, streams: Sequence[int], requests: int, rounds: int) -> str:
    """Return the table. Each of ``rounds`` asks at least ``requests`` questions directly, and as many of the server."""
    bodies = requests_to_model(settings, docstring_questions(settings)[:CANDIDATES])
    with reciting_vllm(settings) as with_model, assistant_server(with_model) as server:
        vllm = f"{with_model.model.base_url}/chat/completions"
        bodies = asyncio.run(_answered_in_full(bodies, vllm, server, with_model.model.answer_tokens))
        rows = [
            row
            for count in streams
            for row in asyncio.run(_both(count, bodies, vllm, server, max(1, requests // count) * count, rounds))
        ]
    columns: tuple[str, ...] = ("streams", "asked", "answers", "first token p50 ms", "p95 ms", "retrieval ms", "grown ms")
    columns += ("tokens/s", "of direct", "generator cores", "server CPU ms")
    return f"{CAPTION.format(tokens=with_model.model.answer_tokens)}\n\n{markdown(columns, rows)}"


async def _both(
    streams: int, bodies: dict[str, dict[str, Any]], vllm: str, server: RunningServer, requests: int, rounds: int
) -> list[tuple[str | int | float, ...]]:
    direct, through = Measured([]), Measured([])
    sent, asked = _sent(vllm, bodies), _asked(server, bodies)
    before, spent = await _retrieval(server), server.cpu_seconds()
    for _ in range(rounds):
        direct.add(await closed_loop(itertools.islice(sent, requests), streams))
        through.add(await closed_loop(itertools.islice(asked, requests), streams))
    after, spent = await _retrieval(server), server.cpu_seconds() - spent
    retrieval = 1000 * (after[0] - before[0]) / (after[1] - before[1])
    grown = through.first_text(0.5) - direct.first_text(0.5) - retrieval
    return [
        (streams, "vLLM directly", *_columns(direct), float("nan"), float("nan"), direct.tokens_a_second, "", _cores(direct), ""),
        (
            streams,
            "the server",
            *_columns(through),
            retrieval,
            grown,
            through.tokens_a_second,
            f"{through.tokens_a_second / direct.tokens_a_second:.1%}",
            _cores(through),
            f"{1000 * spent / len(through.replies):.1f}",
        ),
    ]


def _columns(measured: Measured) -> tuple[int, float, float]:
    return len(measured.replies), measured.first_text(0.5), measured.first_text(0.95)


def _cores(measured: Measured) -> str:
    return f"{measured.cpu_seconds / measured.seconds:.2f}"


def _sent(vllm: str, bodies: dict[str, dict[str, Any]]) -> Iterator[Act]:
    for question, body in itertools.cycle(bodies.items()):
        yield act(Request(question, "POST", vllm, body, events=CompletionEvents))


def _asked(server: RunningServer, questions: Iterable[str]) -> Iterator[Act]:
    for question, key in zip(itertools.cycle(questions), itertools.cycle(server.keys), strict=False):
        body = {"question": question, "stream": True}
        yield act(Request(question, "POST", f"{server.address}/v1/ask", body, key, lambda: AskEvents(from_model=True)))


async def _answered_in_full(
    bodies: dict[str, dict[str, Any]], vllm: str, server: RunningServer, tokens: int
) -> dict[str, dict[str, Any]]:
    """Ask each question both ways once, which also warms both up, and keep those whose answers have their full length."""
    direct = await closed_loop(itertools.islice(_sent(vllm, bodies), len(bodies)), WARM_UP_STREAMS)
    through = await closed_loop(itertools.islice(_asked(server, bodies), len(bodies)), WARM_UP_STREAMS)
    full = [{reply.name for reply in run.whole if reply.tokens == tokens} for run in (direct, through)]
    kept = [question for question in bodies if all(question in names for names in full)][:QUESTIONS]
    if len(kept) < QUESTIONS // 2:
        why = f"{dict(direct.errors)} directly, {dict(through.errors)} through the server"
        raise OperationError(f"only {len(kept)} of {len(bodies)} questions had an answer of {tokens} tokens; errors: {why}")
    return {question: bodies[question] for question in kept}


async def _retrieval(server: RunningServer) -> tuple[float, float]:
    names = ("cia_retrieval_seconds_sum", "cia_retrieval_seconds_count")
    seconds, count = [await asyncio.to_thread(server.metric, name) for name in names]
    return seconds, count
