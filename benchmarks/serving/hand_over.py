"""Promotion and rollback while streams run: who answers from when on, and whether anybody notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.server.figures import markdown, percentile
from benchmarks.server.load import Reply, closed_loop
from benchmarks.serving.stack import Stack

SECONDS_BEFORE, SECONDS_AFTER = 60.0, 30.0

CAPTION = """\
{streams} users ask without a pause while the alias `Production` is moved. Seconds count from the return of the call that moved it
(it took {moving}). "First" is the first token of an answer by the new version, "last" the start of the last question that the
former one answered. "Finished on the old" are streams that were running at that moment. The first token's p50 stands before and
after, over questions that began {before:.0f} s before and up to {after:.0f} s after."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """One move of the alias, from version ``old`` to ``new``, and every reply around it; times as in ``Reply``."""

    name: str
    old: str
    new: str
    began: float
    moved: float
    replies: Sequence[Reply]

    @property
    def first_by_new(self) -> float:
        """Seconds until the first token of the new version; infinite when none came."""
        return min((r.first_text - self.moved for r in self._by(self.new) if r.first_text is not None), default=float("inf"))

    @property
    def last_by_old(self) -> float:
        """Seconds until the last question began that the former version answered."""
        return max((r.begun - self.moved for r in self._by(self.old)), default=float("-inf"))

    @property
    def running(self) -> list[Reply]:
        """What was under way at the moment of the move."""
        return [reply for reply in self.replies if reply.begun < self.moved < reply.ended]

    def row(self) -> tuple[str | int | float, ...]:
        """Return the row of the table."""
        failed = sum(bool(reply.error) or reply.model not in (self.old, self.new) for reply in self.replies)
        finished = sum(not reply.error and reply.model == self.old for reply in self.running)
        return (
            self.name,
            len(self.replies),
            failed,
            f"{finished} of {len(self.running)}",
            f"{self.first_by_new:.2f}",
            f"{self.last_by_old:.2f}",
            _first_text([reply for reply in self.replies if reply.begun < self.moved]),
            _first_text([reply for reply in self.replies if reply.begun >= self.moved]),
        )

    def _by(self, model: str) -> list[Reply]:
        return [reply for reply in self.replies if not reply.error and reply.model == model]


def measure_hand_over(stack: Stack, streams: int) -> str:
    """Return the table of a promotion of version 2 over version 1, and of the rollback."""
    moves: list[tuple[str, str, str, Callable[[], object]]] = [
        ("promotion", "code-assistant:1", "code-assistant:2", lambda: stack.registry.promote(2, by="benchmark")),
        ("rollback", "code-assistant:2", "code-assistant:1", stack.registry.rollback),
    ]
    measured = [asyncio.run(_hand_over(stack, streams, *move)) for move in moves]
    columns = ("move", "answers", "failed", "finished on the old", "first s", "last s", "first token before ms", "after ms")
    moving = " and ".join(f"{one.moved - one.began:.2f} s" for one in measured)
    caption = CAPTION.format(streams=streams, moving=moving, before=SECONDS_BEFORE, after=SECONDS_AFTER)
    return f"{caption}\n\n{markdown(columns, [one.row() for one in measured])}"


async def _hand_over(stack: Stack, streams: int, name: str, old: str, new: str, move: Callable[[], object]) -> HandOver:
    async def move_later() -> tuple[float, float]:
        await asyncio.sleep(SECONDS_BEFORE)
        began = time.perf_counter()
        await asyncio.to_thread(move)
        return began, time.perf_counter()

    moving = asyncio.create_task(move_later())
    run = await closed_loop(stack.asking(), streams, SECONDS_BEFORE + SECONDS_AFTER)
    began, moved = await moving
    return HandOver(name, old, new, began, moved, run.replies)


def _first_text(replies: Sequence[Reply]) -> float:
    return percentile([reply.first_text_milliseconds for reply in replies if not reply.error], 0.5)
