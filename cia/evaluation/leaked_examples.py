"""What the examples that a model was trained on give away of an evaluation.

``cia.dataset.leaks`` compares the pairs of a data set. A training reads another file, the examples made from them; this looks
there, so that a question which somebody put into that file is found as well.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cia.dataset.pair import QuestionAnswerPair
from cia.errors import InputError

QUESTION = "Question: "
"""What every form of the prompt writes before the question, which is its end."""

Place = tuple[str, str, int, int]


def asked_in_training(examples: Path, pairs: Iterable[QuestionAnswerPair]) -> set[str]:
    """Return the ids of the ``pairs`` whose question, or lines of whose answer, stand in a file of training examples.

    Raises InputError for a file that is none.
    """
    asked: set[str] = set()
    answered: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
    for question, places in _read(examples):
        asked.add(question)
        for place in places:
            answered[place[:2]].append(place)
    return {
        pair.id
        for pair in pairs
        if _plain(pair.question) in asked
        or any(
            start <= gold.line_end and gold.line_start <= end
            for gold in pair.citations
            for *_, start, end in answered.get((gold.repo, gold.file_path), ())
        )
    }


def _read(examples: Path) -> Iterator[tuple[str, list[Place]]]:
    with examples.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                example: dict[str, Any] = json.loads(line)
                question = str(example["messages"][-1]["content"]).rpartition(QUESTION)[2]
                gold = example.get("check", {}).get("gold", [])
                places = [(g["repo"], g["file_path"], int(g["line_start"]), int(g["line_end"])) for g in gold]
            except (ValueError, LookupError, TypeError, AttributeError):
                raise InputError(f"{examples}, line {number}, is no training example; build the data set again") from None
            yield _plain(question), places


def _plain(question: str) -> str:
    return " ".join(question.lower().split())
