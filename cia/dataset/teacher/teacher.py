"""Asks many lessons of one teacher: several at once, no faster than allowed, and never over the cost cap."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from cia.dataset.teacher.budget import Budget
from cia.dataset.teacher.endpoint import Completion, Endpoint, NobodyAnswers, Refused, TryAgain
from cia.dataset.teacher.journal import Journal, Reply
from cia.dataset.teacher.lesson import Lesson
from cia.errors import OperationError, UnavailableError
from cia.progress import Progress, silent
from cia.settings import TeacherSettings

MOST_GIVEN_UP_IN_A_ROW = 5
"""After so many lessons in a row that no try got an answer to, the teacher is taken to be away."""

PAUSE_SECONDS = 1.0
"""About so long is the pause before the second try; it doubles up to a minute. What Retry-After says goes before it."""


class CapReached(Exception):
    """The next request could exceed the cost cap."""


@dataclass
class Asked:
    """The replies to the lessons by key, new and kept, and how it went.

    ``asked`` counts the lessons sent now, ``given_up`` those without an answer after all tries, ``unanswered`` those that
    were under way when an earlier process was killed; ``stopped`` says why some were not asked at all, "" when all were.
    """

    replies: dict[str, Reply] = field(default_factory=dict)
    asked: int = 0
    given_up: int = 0
    unanswered: int = 0
    stopped: str = ""


class Teacher:
    """A teacher with its ``journal``, which must be open. ``pause_seconds`` scales the pauses between tries."""

    def __init__(self, settings: TeacherSettings, journal: Journal, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._settings = settings
        self._journal = journal
        self._growing = wait_random_exponential(multiplier=pause_seconds, max=60.0 * pause_seconds)

    def ask(self, lessons: Sequence[Lesson], progress: Progress = silent) -> Asked:
        """Ask what the journal does not know yet, and return all replies.

        Raises UnavailableError when the teacher is away and OperationError when it refuses everything; what was answered is kept.
        """
        by_key = {lesson.key(self._settings.model): lesson for lesson in lessons}
        asked = Asked(unanswered=self._journal.unanswered())
        new = {key: lesson for key, lesson in by_key.items() if not self._journal.is_settled(key)}
        if new:
            asyncio.run(self._ask_all(new, asked, progress))
        asked.replies = {key: self._journal.replies[key] for key in by_key if key in self._journal.replies}
        return asked

    async def _ask_all(self, lessons: dict[str, Lesson], asked: Asked, progress: Progress) -> None:
        self._budget = Budget(self._settings.cost_cap, self._journal.spent)
        self._pace = AsyncLimiter(1, 60.0 / self._settings.requests_per_minute)  # one at a time, evenly: no burst at the start
        self._not_before = 0.0
        self._failure: OperationError | None = None
        self._given_up_in_a_row = 0
        waiting = iter(lessons.items())
        async with Endpoint(self._settings, os.environ.get(self._settings.api_key_variable, "")) as endpoint:
            workers = range(min(self._settings.concurrency, len(lessons)))
            await asyncio.gather(*(self._work(endpoint, waiting, len(lessons), asked, progress) for _ in workers))
        if self._failure is not None:
            raise self._failure

    async def _work(
        self, endpoint: Endpoint, waiting: Iterator[tuple[str, Lesson]], total: int, asked: Asked, progress: Progress
    ) -> None:
        for key, lesson in waiting:
            if asked.stopped or self._failure:  # what is under way ends as it would: its answer is paid for
                return
            try:
                await self._ask_one(endpoint, key, lesson)
                self._given_up_in_a_row = 0
            except CapReached:
                asked.stopped = (
                    f"the teacher was not asked any further: the next request could exceed dataset.teacher.cost_cap"
                    f" ({self._budget.spent:.4f} of {self._settings.cost_cap:g} spent)"
                )
                return
            except Refused:
                asked.given_up += 1
            except TryAgain as error:
                asked.given_up += 1
                self._given_up_in_a_row += 1
                if self._given_up_in_a_row >= MOST_GIVEN_UP_IN_A_ROW:
                    self._failure = UnavailableError(
                        f"the teacher at {self._settings.base_url} is away: {error}; run the same command again later,"
                        " its answers so far are kept"
                    )
            except OperationError as error:
                self._failure = self._failure or error
            asked.asked += 1
            progress("asking the teacher", asked.asked, total)

    async def _ask_one(self, endpoint: Endpoint, key: str, lesson: Lesson) -> None:
        """Get and keep the reply. Raises TryAgain after the last try."""
        tries = AsyncRetrying(
            retry=retry_if_exception_type(TryAgain),
            stop=self._enough,
            wait=self._pause,
            reraise=True,
        )
        async for attempt in tries:
            with attempt:
                await self._try(endpoint, key, lesson)

    async def _try(self, endpoint: Endpoint, key: str, lesson: Lesson) -> None:
        highest = self._price(lesson.most_tokens, self._settings.answer_tokens)
        if not await self._budget.reserve(highest):
            raise CapReached
        price = 0.0
        try:
            await self._wait_for_turn()
            self._journal.asking(key, highest)
            price = highest  # until it is known better
            completion = await endpoint.ask(lesson)
            price = self._price(*completion.tokens) if completion.tokens else highest
            self._journal.answered(self._reply(key, lesson, completion, price))
        except TryAgain as error:
            price = highest if error.billed else 0.0
            if error.after:  # all wait: the endpoint means the key, not this request
                self._not_before = max(self._not_before, asyncio.get_running_loop().time() + error.after)
            self._journal.failed(key, price, str(error))
            raise
        except Refused as error:
            price = 0.0
            self._journal.refused_for_good(key, str(error))
            raise
        except NobodyAnswers as error:
            price = 0.0
            self._journal.failed(key, price, str(error))
            raise
        finally:
            await self._budget.settle(highest, price)

    async def _wait_for_turn(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(max(0.0, self._not_before - now()))
            await self._pace.acquire()
            if now() >= self._not_before:
                return

    def _enough(self, state: RetryCallState) -> bool:
        return self._failure is not None or state.attempt_number >= self._settings.tries

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TryAgain) and error.after is not None:
            return 0.0  # the pause that was asked for is everybody's: _wait_for_turn
        return self._growing(state)

    def _price(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self._settings.input_price + completion_tokens * self._settings.output_price) / 1e6

    def _reply(self, key: str, lesson: Lesson, completion: Completion, price: float) -> Reply:
        prompt_tokens, completion_tokens = completion.tokens or (lesson.most_tokens, self._settings.answer_tokens)
        return Reply(
            key=key,
            model=self._settings.model,
            base_url=str(self._settings.base_url),
            messages=lesson.messages,
            text=completion.text,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            price=price,
        )
