"""What the prefix cache is worth: the time to the first token after a shared prompt, with the cache and without."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from pathlib import Path

from benchmarks.server.figures import markdown, percentile
from benchmarks.server.load import Client
from benchmarks.server.reciting_model import VOCABULARY
from benchmarks.server.running import changed
from benchmarks.serving.completions import complete, side_by_side
from cia.settings import Settings

SHARED_SHARES = (0.0, 0.5, 0.9)
REQUESTS = 20

CAPTION = """\
The time to the first token (one is asked for) of prompts of {tokens} tokens, of which the first part is the same in all, one
after another, sent in turns to a vLLM with prefix caching and to one without; CPU, one thread each; median of {requests}."""


def measure_prefix_cache(settings: Settings, model: Path) -> str:
    """Return the table for ``model``."""
    variants = {"cached": settings, "uncached": changed(settings, "serving", prefix_caching=False)}
    length = settings.model.context_tokens - settings.model.answer_tokens
    with side_by_side(variants, model) as servers:
        rows = [asyncio.run(_row(share, length, servers, VOCABULARY)) for share in SHARED_SHARES]
    columns = ("shared", "without ms", "with ms", "ratio")
    return f"{CAPTION.format(tokens=length, requests=REQUESTS)}\n\n{markdown(columns, rows)}"


async def _row(share: float, length: int, servers: dict[str, str], vocabulary: int) -> tuple[str, float, float, str]:
    chance = random.Random(7)
    shared = chance.choices(range(300, vocabulary), k=int(share * length))
    seconds: dict[str, list[float]] = {name: [] for name in servers}
    async with Client() as client:
        for number, (name, address) in itertools.product(range(REQUESTS + 1), servers.items()):
            own = chance.choices(range(300, vocabulary), k=length - len(shared))
            begun = time.perf_counter()
            await complete(client, address, [*shared, *own], 1)
            if number:  # the first brings the shared part into the cache
                seconds[name].append(time.perf_counter() - begun)
    cached, uncached = (1000 * percentile(seconds[name], 0.5) for name in ("cached", "uncached"))
    return f"{share:.0%}", uncached, cached, f"{uncached / cached:.2f}"
