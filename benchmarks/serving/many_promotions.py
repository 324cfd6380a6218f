"""A hundred promotions in a row: whether memory or disk grows with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks.server.figures import markdown
from benchmarks.serving.stack import Stack, cached_bytes, wait_for_version

LONGEST_WAIT_SECONDS = 60.0
ROWS = 6

CAPTION = """\
{count} versions, each promoted as soon as the one before it has answered. "Until it answers" is the mean since the row before,
from the call that promotes to the end of a whole answer. Memory is the resident set of all processes of vLLM, and of the answer
server; the disk is vLLM's cache of adapters, of which it may keep {kept}; "known" is how many adapters vLLM lists."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The state after ``version`` has answered, ``seconds`` after it was promoted."""

    version: int
    seconds: float
    vllm_bytes: int
    server_bytes: int
    cache_bytes: int
    known: int


def measure_many_promotions(stack: Stack, count: int, cache: Path) -> str:
    """Return the table and what it says, promoting versions 2 to ``count`` + 1; ``cache`` is vLLM's folder of adapters."""
    samples = [_promoted(stack, version, cache) for version in range(2, count + 2)]
    columns = ("promotions", "until it answers s", "vLLM MB", "server MB", "disk MB", "known")
    kept = stack.settings.serving.cached_adapters
    return "\n\n".join([CAPTION.format(count=count, kept=kept), markdown(columns, _rows(samples)), _verdict(samples)])


def _promoted(stack: Stack, version: int, cache: Path) -> Sample:
    stack.registry.promote(version, by="benchmark")
    seconds = wait_for_version(stack, version, LONGEST_WAIT_SECONDS)
    return Sample(
        version,
        seconds,
        sum(process.memory_info().rss for process in stack.vllm_processes()),
        sum(process.memory_info().rss for process in stack.server.processes()),
        cached_bytes(cache),
        len(stack.vllm.client.models()) - 1,
    )


def _rows(samples: Sequence[Sample]) -> list[tuple[int | float, ...]]:
    rows: list[tuple[int | float, ...]] = []
    shown = sorted({1, *(round(len(samples) * part / (ROWS - 1)) for part in range(1, ROWS))})
    for before, number in zip([0, *shown], shown, strict=False):
        last = samples[number - 1]
        waited = mean(sample.seconds for sample in samples[before:number])
        sizes = [size / 1e6 for size in (last.vllm_bytes, last.server_bytes, last.cache_bytes)]
        rows.append((number, waited, *sizes, last.known))
    return rows


def _verdict(samples: Sequence[Sample]) -> str:
    """What the last third holds against the middle one: the first fills caches."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    grown = [
        (mean(getattr(one, name) for one in last) - mean(getattr(one, name) for one in middle)) / 1e6
        for name in ("vllm_bytes", "server_bytes", "cache_bytes")
    ]
    return "The last third against the middle one: vLLM {:+.1f} MB, the server {:+.1f} MB, the disk {:+.2f} MB.".format(*grown)
