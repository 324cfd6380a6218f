"""From rated answers to drafts: of one repository, checked anew against its code, without the user and without secrets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cia.answering.prompt import ABSTENTION
from cia.answering.secrets import mask
from cia.chunking import Chunk
from cia.dataset.citation_places import PLACE, without_places
from cia.dataset.draft import Draft, Offered
from cia.dataset.filters.filter import CITATION, PERSONAL
from cia.dataset.from_code import CodeBase
from cia.dataset.production.export_file import read_export
from cia.dataset.production.from_langfuse import read_langfuse
from cia.dataset.production.rated_answer import RatedAnswer
from cia.settings import Settings

NOT_APPROVED, SEVERAL = "not approved by its user", "several repositories"
SHORTEST_NAME = 3
"""Shorter parts of a user's name are words like any other."""


def rated_answers(settings: Settings) -> list[RatedAnswer]:
    """Return what the export and Langfuse hold, as far as the settings name them."""
    production = settings.dataset.production
    answers = read_export(production.export) if production.export else []
    return answers + (read_langfuse(settings.tracing, production.days) if production.langfuse else [])


def production_drafts(code: CodeBase, answers: Sequence[RatedAnswer]) -> Offered:
    """Return those of ``answers``, which cite ``code``, that are approved or corrected and cite nothing else.

    A pair carries its repository, so that who may not read that one can be kept from what was learnt from it: an answer out
    of several repositories has no place.
    """
    drafts: list[Draft] = []
    left_out: Counter[str] = Counter()
    for rated in answers:
        draft = _draft(code, rated)
        if isinstance(draft, Draft):
            drafts.append(draft)
        else:
            left_out[draft] += 1
    return Offered(drafts, left_out)


def _draft(code: CodeBase, rated: RatedAnswer) -> Draft | str:
    """Return the draft, or why there is none."""
    if len(rated.repos()) > 1:
        return SEVERAL
    if rated.rating == "down" and not rated.correction.strip():
        return NOT_APPROVED
    question, answer = mask(" ".join(rated.question.split())), mask(rated.approved_text())
    if _names_user(rated, code):
        return PERSONAL
    if ABSTENTION in answer:
        return Draft("unanswerable", question, ABSTENTION, question, (), question, "production")
    evidence: dict[str, Chunk] = {}
    for place in dict.fromkeys(PLACE.findall(answer)):
        chunk = _chunk_at(code, place)
        if chunk is None:
            return CITATION
        answer = answer.replace(place, code.place(chunk))
        evidence[code.place(chunk)] = chunk
    if not evidence or not _speaks_of(without_places(answer), list(evidence.values())):
        return CITATION
    chunks = tuple(evidence.values())
    return Draft("asked", question, answer, chunks[0].symbol, chunks, f"{question} {answer}", "production")


def _chunk_at(code: CodeBase, place: str) -> Chunk | None:
    """Return the smallest chunk that holds the cited lines: the code may have moved on since."""
    path, _, lines = place[1:-1].removeprefix(f"{code.repo}/").rpartition(":")
    start, _, end = lines.partition("-")
    holding = [c for c in code.chunks if c.file_path == path and c.line_start <= int(start) <= int(end) <= c.line_end]
    return min(holding, key=lambda chunk: chunk.line_end - chunk.line_start, default=None)


def _speaks_of(answer: str, evidence: list[Chunk]) -> bool:
    """Whether a name in the answer is in the cited lines: the same lines of a later commit may be about something else."""
    names = {word for word in re.findall(r"[A-Za-z_]\w{2,}", answer) if not word.islower() or "_" in word}
    names |= {word for quoted in re.findall(r"`([^`]+)`", answer) for word in re.findall(r"\w{3,}", quoted)}
    there = {word for chunk in evidence for word in re.findall(r"\w+", f"{chunk.text} {chunk.symbol}")}
    return not names.isdisjoint(there)


def _names_user(rated: RatedAnswer, code: CodeBase) -> bool:
    """Whether the text says who asked. A name that is also a word of the code tells nobody."""
    names = {part.lower() for part in re.split(r"[^\w]+|_", rated.user) if len(part) >= SHORTEST_NAME} - code.words
    said = f"{rated.question} {rated.approved_text()}".lower()
    return any(re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", said) for name in names)
