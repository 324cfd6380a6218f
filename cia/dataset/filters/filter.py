"""What must not get into a data set: each draft passes, or is told why not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from cia.answering.citations import check
from cia.answering.secrets import mask
from cia.chunking import Chunk
from cia.dataset.citation_places import without_places
from cia.dataset.draft import Draft, place, shown
from cia.dataset.filters.personal_data import personal_data
from cia.dataset.filters.similarity import NearDuplicates, words_of
from cia.dataset.filters.toxic_text import is_toxic

LONGEST_QUESTION = 300
LONGEST_ANSWER = 500
"""Characters, citations apart. With its prompt, a longer answer would not fit the small model's window."""

SAME = 0.8
"""Jaccard similarity of two answers' words from which the second teaches nothing new."""

_WORD = re.compile(r"[^\s\"'`,;:()\[\]{}]{4,}")

CITATION, LENGTH, SECRET, PERSONAL, TOXIC, DUPLICATE = (
    "citation does not hold", "too long", "secret", "personal data", "toxic text", "near-duplicate"
)  # fmt: skip


def holds_secret(text: str, evidence: Iterable[Chunk] = ()) -> bool:
    """Whether ``text`` holds what a reader of the assistant would see masked, in it or in the ``evidence`` that it is taken from.

    A password is known by the name that it is assigned to: a sentence about its value no longer shows it to be one.
    """
    return mask(text) != text or any(word in text for chunk in evidence for word in _masked_words(chunk))


def _masked_words(chunk: Chunk) -> set[str]:
    hidden = mask(chunk.text, chunk.file_path)
    return set() if hidden == chunk.text else set(_WORD.findall(chunk.text)) - set(_WORD.findall(hidden))


class Filter:
    """Passes a draft about one repository at one commit, or says why not.

    It remembers what it passed, to tell what is nearly the same.
    """

    def __init__(self, repo: str, commit: str) -> None:
        self._repo, self._commit = repo, commit
        self._passed: defaultdict[str, NearDuplicates] = defaultdict(lambda: NearDuplicates(SAME))
        self._questions: set[str] = set()

    def objection(self, draft: Draft) -> str:
        """Return why ``draft`` is left out, the first reason that applies, or "" and remember it."""
        reason = self._in_itself(draft)
        if reason:
            return reason
        said = words_of(draft.content)
        known = self._passed[draft.kind]
        question = " ".join(draft.question.lower().split())
        if question in self._questions or any(True for _ in known.like(said)):
            return DUPLICATE
        known.add(said, draft.question)
        self._questions.add(question)
        return ""

    def _in_itself(self, draft: Draft) -> str:
        text = f"{draft.question}\n{draft.answer}"
        # The evidence is shown in training as in serving: with its secrets masked, but otherwise as it is.
        evidence = "\n".join(chunk.text for chunk in draft.evidence)
        if not self._citations_hold(draft):
            return CITATION
        if len(draft.question) > LONGEST_QUESTION or len(without_places(draft.answer)) > LONGEST_ANSWER:
            return LENGTH
        if holds_secret(text, draft.evidence):
            return SECRET
        if personal_data(text) or personal_data(evidence):
            return PERSONAL
        return TOXIC if is_toxic(text) or is_toxic(evidence) else ""

    def _citations_hold(self, draft: Draft) -> bool:
        """Whether a reader would see the answer just as it is, citing all of the evidence and nothing else."""
        checked = check(draft.answer, [shown(self._repo, self._commit, chunk) for chunk in draft.evidence])
        cited = {str(citation) for citation in checked.citations}
        wanted = {place(self._repo, self._commit, chunk) for chunk in draft.evidence}
        return checked.text == draft.answer and cited == wanted and bool(wanted) == (draft.kind != "unanswerable")
