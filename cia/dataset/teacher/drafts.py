"""From a teacher's replies to drafts."""

from __future__ import annotations

import hashlib
from collections import Counter

from cia.answering.citations import check
from cia.chunking import Chunk
from cia.dataset.draft import Draft, Offered, shown
from cia.dataset.filters.filter import CITATION
from cia.dataset.from_code import CodeBase
from cia.dataset.from_code.definitions import name_of
from cia.dataset.teacher.journal import Journal
from cia.dataset.teacher.lesson import Lesson, read_reply
from cia.dataset.teacher.teacher import Teacher
from cia.durable_files import exclusive
from cia.progress import Progress, silent
from cia.settings import Settings

JOURNAL = "teacher.jsonl"
FEWEST_LINES = 4
"""Of a definition that is worth a question about how it works."""

NOT_JSON = "not the JSON asked for"


def teacher_drafts(code: CodeBase, settings: Settings, progress: Progress = silent) -> Offered:
    """Ask the teacher about definitions of ``code`` and return its questions and answers, always in the same order.

    Nothing when no teacher is set. Raises BusyError while another process asks, and what ``Teacher.ask`` raises.
    """
    teacher = settings.dataset.teacher
    if teacher.base_url is None:
        return Offered((), {})
    lessons = {Lesson.about(code.repo, code.commit, chunk): chunk for chunk in _chosen(code, settings)}
    directory = settings.home / "dataset"
    with exclusive(directory / f"{JOURNAL}.lock", "asking the teacher"), Journal(directory / JOURNAL) as journal:
        asked = Teacher(teacher, journal).ask(list(lessons), progress)
    drafts: list[Draft] = []
    left_out: Counter[str] = Counter({"no answer from the teacher": asked.given_up})
    cost = 0.0
    for lesson, chunk in lessons.items():
        reply = asked.replies.get(lesson.key(teacher.model))
        if reply is not None:
            cost += reply.price
            draft = _draft(code, chunk, reply.text)
            if isinstance(draft, Draft):
                drafts.append(draft)
            else:
                left_out[draft] += 1
    notices = [asked.stopped] if asked.stopped else []
    if asked.unanswered:
        notices.append(
            f"{asked.unanswered} requests to the teacher were under way when a process was killed; they are not sent again"
            " and count at their highest price"
        )
    return Offered(drafts, left_out, tuple(notices), cost)


def _chosen(code: CodeBase, settings: Settings) -> list[Chunk]:
    """The same definitions every time, spread over the code: more are added behind them when more are wanted."""
    worth = [
        chunk
        for symbol, chunk in code.definitions.items()
        if not name_of(symbol).startswith("__") and chunk.line_end - chunk.line_start + 1 >= FEWEST_LINES
    ]
    worth.sort(key=lambda chunk: hashlib.sha256(f"{settings.dataset.seed} {chunk.symbol}".encode()).digest())
    return worth[: settings.dataset.teacher.pairs_per_repo]


def _draft(code: CodeBase, chunk: Chunk, text: str) -> Draft | str:
    """Return the draft, or why there is none."""
    reply = read_reply(text)
    if reply is None:
        return NOT_JSON
    checked = check(reply.answer, [shown(code.repo, code.commit, chunk)])
    if checked.dropped or not checked.citations:
        return CITATION
    answer = checked.text
    for citation in checked.citations:  # of a few lines of the chunk: the gold is the chunk, as a search finds it
        answer = answer.replace(str(citation), code.place(chunk))
    return Draft("explained", reply.question.strip(), answer, chunk.symbol, (chunk,), reply.answer, "teacher")
