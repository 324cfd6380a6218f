"""What guessing from the prompt is worth: vLLM with n-gram speculation against the same vLLM without, by how much is quoted."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.server.figures import markdown
from benchmarks.server.load import Client
from benchmarks.server.reciting_model import VOCABULARY
from benchmarks.server.running import changed
from benchmarks.serving.completions import complete, side_by_side
from cia.settings import Settings

STREAMS = (1, 8)
QUOTED = {"nothing": 0.0, "half of it": 0.5, "all of it": 1.0}
SEGMENT = 16
"""Tokens that are quoted, or not quoted, in a row."""

MISLEADING = "nothing, misled"

CAPTION = """\
The same requests to two vLLMs in turns, one that guesses {guessed} tokens ahead from the prompt and one that does not; CPU, one
thread each. The model recites {tokens} tokens; what share of them stands in the prompt, in runs of {segment}, is the line's
name. "{misleading}": two tokens in a row of each run stand there, followed by others, so that guesses are made and are wrong. An
answer that quotes code lies between "nothing" and "all of it"."""


def measure_speculation(settings: Settings, model: Path, recital: Sequence[int], rounds: int) -> str:
    """Return the table for ``model``, which after ``recital[0]`` says the rest of ``recital``."""
    variants = {"plain": settings, "ngram": changed(settings, "serving", speculation="ngram")}
    columns = ("quoted", "streams", "plain tokens/s", "guessing tokens/s", "ratio")
    prompts = {name: _prompt(recital, share, settings) for name, share in QUOTED.items()}
    prompts[MISLEADING] = _misleading(recital, settings)
    with side_by_side(variants, model) as servers:
        rows = [
            asyncio.run(_row(name, prompt, streams, servers, len(recital) - 1, rounds))
            for name, prompt in prompts.items()
            for streams in STREAMS
        ]
    caption = CAPTION.format(
        guessed=settings.serving.speculative_tokens, tokens=len(recital) - 1, segment=SEGMENT, misleading=MISLEADING
    )
    return f"{caption}\n\n{markdown(columns, rows)}"


async def _row(
    name: str, prompt: list[int], streams: int, servers: dict[str, str], tokens: int, rounds: int
) -> tuple[str | int | float, ...]:
    speed = dict.fromkeys(servers, 0.0)
    async with Client() as client:
        for number in range(rounds + 1):
            for server, address in servers.items():
                begun = time.perf_counter()
                written = await asyncio.gather(*(complete(client, address, prompt, tokens) for _ in range(streams)))
                if number:  # the first fills the prefix cache of both
                    speed[server] += sum(written) / (time.perf_counter() - begun) / rounds
    return name, streams, speed["plain"], speed["ngram"], f"{speed['ngram'] / speed['plain']:.2f}"


def _prompt(recital: Sequence[int], share: float, settings: Settings) -> list[int]:
    """As long as a real one: other tokens, and of every run of the recital ``share`` of the runs, then its first token."""
    said = recital[1:]
    runs = [said[start : start + SEGMENT] for start in range(0, len(said), SEGMENT)]
    quoted = [token for number, run in enumerate(runs) if int((number + 1) * share) > int(number * share) for token in run]
    return [*_others(recital, settings, len(quoted)), *quoted, recital[0]]


def _misleading(recital: Sequence[int], settings: Settings) -> list[int]:
    said = recital[1:]
    wrong: Iterator[int] = iter(_others(recital, settings, 0))
    pairs: list[int] = []
    for start in range(0, len(said) - 1, 4):
        pairs += [*said[start : start + 2], *(next(wrong) for _ in range(2))]
    return [*_others(recital, settings, len(pairs)), *pairs, recital[0]]


def _others(recital: Sequence[int], settings: Settings, already: int) -> list[int]:
    room = settings.model.context_tokens - len(recital) - already - 1
    rest = sorted(set(range(300, VOCABULARY)) - set(recital))
    return random.Random(7).choices(rest, k=room)
