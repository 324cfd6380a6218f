"""Labelled questions about a repository: made from its own code, from another's, and written by hand."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cia.dataset.draft import Draft
from cia.dataset.from_code.definitions import CodeBase, name_of
from cia.dataset.from_code.questions import drafts
from cia.dataset.from_code.unanswerable import unanswerable

WRITTEN = Path(__file__).parent / "questions.jsonl"
BY_NAME, BY_PURPOSE, BY_ANOTHER, ABSENT = 25, 60, 40, 60
SOURCES = {
    "named": "a name of the code, in each kind of question",
    "described": "what a docstring says, without the name",
    "asked": "written by hand about the repository",
    "absent": "a name or a subject that occurs nowhere",
    "elsewhere": "what a docstring of an unrelated repository says",
    "off topic": "written by hand, plausible, and not in the code",
}
ANSWERABLE = ("named", "described", "asked")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question about ``repo``; ``source`` is a key of SOURCES, which says whether the code answers it."""

    repo: str
    source: str
    text: str

    @property
    def answerable(self) -> bool:
        """Whether the code answers it."""
        return self.source in ANSWERABLE


def labelled(code: CodeBase, others: list[CodeBase]) -> Iterator[Labelled]:
    """Yield the questions about ``code``; ``others`` are repositories that deal with other things."""
    for made in drafts(code, random.Random(3)).values():
        for draft in [draft for draft in made if "`" in draft.question][:BY_NAME]:
            yield Labelled(code.repo, "named", draft.question)
    for draft in _described(code)[:BY_PURPOSE]:
        yield Labelled(code.repo, "described", draft.question)
    for draft in itertools.islice(unanswerable(code, random.Random(3)), ABSENT):
        yield Labelled(code.repo, "absent", draft.question)
    for other in others:
        for draft in _described(other)[:BY_ANOTHER]:
            if name_of(draft.about).lower() not in code.words:
                yield Labelled(code.repo, "elsewhere", draft.question)
    for line in WRITTEN.read_text(encoding="utf-8").splitlines():
        written = json.loads(line)
        if written["repo"] == code.repo:
            yield Labelled(code.repo, "asked" if written["answerable"] else "off topic", written["question"])


def _described(code: CodeBase) -> list[Draft]:
    # One question for each sentence: twins (a class and its async sister) say the same.
    found = [draft for draft in drafts(code, random.Random(5))["where"] if "`" not in draft.question]
    return list({draft.content.partition(" ")[2]: draft for draft in found}.values())
