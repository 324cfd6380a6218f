"""What must not get into a data set: secrets, overlong answers, and the same thing twice."""

from __future__ import annotations

import re
from collections import defaultdict

from cia.dataset.questions import Draft

LONGEST_QUESTION = 300
LONGEST_ANSWER = 500
"""Characters. With its prompt, a longer answer would not fit the small model's window."""

SAME = 0.8
"""Jaccard similarity of two answers' words from which the second teaches nothing new."""

_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bsk-[A-Za-z0-9_-]{20,}|\bAIza[\w-]{35}\b|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\."
    r"|\b(?:password|passwd|secret|api_?key|access_?key|auth_?token)\b\s*(?::\s*\w+\s*)?[=:]\s*[\"'][^\"'\s]{8,}[\"']",
    re.IGNORECASE,
)


def holds_secret(text: str) -> bool:
    """Whether ``text`` holds what looks like a key, a token or a password."""
    return _SECRET.search(text) is not None


class Filter:
    """Passes a draft or says why not. It remembers what it passed, to tell what is nearly the same."""

    def __init__(self) -> None:
        self._passed: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
        self._questions: set[str] = set()

    def objection(self, draft: Draft) -> str:
        """Return why ``draft`` is left out (``secret``, ``too long``, ``near-duplicate``), or "" and remember it."""
        if holds_secret(f"{draft.question}\n{draft.answer}") or any(holds_secret(chunk.text) for chunk in draft.evidence):
            return "secret"
        if len(draft.question) > LONGEST_QUESTION or len(_without_places(draft.answer)) > LONGEST_ANSWER:
            return "too long"
        said = frozenset(re.findall(r"\w+", draft.content.lower().replace("async", "").replace("_", " ")))
        if draft.question in self._questions or any(_jaccard(said, other) >= SAME for other in self._passed[draft.kind]):
            return "near-duplicate"
        self._passed[draft.kind].append(said)
        self._questions.add(draft.question)
        return ""


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def _without_places(answer: str) -> str:
    return re.sub(r"\[[^\[\]\s]+:\d+-\d+\]", "", answer)
