"""kill -9 of vLLM under load: whether everybody gets an answer, and when the adapter is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.server.figures import markdown
from benchmarks.server.load import Reply, open_loop
from benchmarks.serving.stack import Stack

RATE = 1.0
SECONDS_BEFORE = 10.0
VERSION = "code-assistant:1"
QUOTED = "none"

CAPTION = """\
{rate:g} questions a second, at random moments whatever becomes of the earlier ones, for {seconds:.0f} s; {before:.0f} s after
the start vLLM's API server and its engine get SIGKILL. Nobody does anything then: the supervisor starts vLLM, and the first
request that names the version makes vLLM take the adapter from its cache. "Running" were streaming when it died."""


@dataclass(frozen=True, slots=True)
class Death:
    """The moment of it, as in ``Reply``, and every reply around it."""

    killed: float
    replies: Sequence[Reply]

    def row(self) -> tuple[str | int | float, ...]:
        """Return the row of the table."""
        answered = [reply for reply in self.replies if not reply.error]
        after = [reply for reply in answered if reply.begun > self.killed]
        quoted = [reply for reply in after if reply.model == QUOTED]
        running = [reply for reply in self.replies if reply.begun < self.killed < reply.ended]
        back = min((r.first_text - self.killed for r in after if r.model == VERSION and r.first_text), default=float("inf"))
        return (
            len(self.replies),
            len(self.replies) - len(answered),
            f"{sum(not reply.error for reply in running)} of {len(running)}",
            len(quoted),
            sum(reply.model == VERSION for reply in after),
            f"{back:.1f}",
        )


def measure_death(stack: Stack, seconds: float) -> str:
    """Return the table. ``seconds`` must be enough for vLLM to come back."""
    death = asyncio.run(_die(stack, seconds))
    columns = ("answers", "failed", "running, answered", "extractive", "by the adapter again", "adapter back after s")
    caption = CAPTION.format(rate=RATE, seconds=seconds, before=SECONDS_BEFORE)
    return f"{caption}\n\n{markdown(columns, [death.row()])}"


async def _die(stack: Stack, seconds: float) -> Death:
    async def kill_later() -> float:
        await asyncio.sleep(SECONDS_BEFORE)
        killed = time.perf_counter()
        for process in stack.vllm_processes():
            process.kill()
        return killed

    killing = asyncio.create_task(kill_later())
    run = await open_loop(stack.asking(), RATE, seconds)
    return Death(await killing, run.replies)
