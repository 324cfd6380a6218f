"""The files of a data set: JSON Lines of pairs, and the hash that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from cia.dataset.pair import QuestionAnswerPair
from cia.errors import InputError

TRAIN_FILE = "train.jsonl"
EVALUATION_FILE = "evaluation.jsonl"
REPORT_FILE = "report.json"


def load(path: Path) -> list[QuestionAnswerPair]:
    """Return the pairs of a JSON Lines file. Raises InputError that names the file and line that is not one."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; `python -m cia.dataset` makes it") from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                pairs.append(QuestionAnswerPair.model_validate_json(line))
            except ValueError:
                raise InputError(f"{path} line {number} is not a question-answer pair; build the data set again") from None
    return pairs


def as_lines(pairs: Iterable[QuestionAnswerPair]) -> str:
    """Return ``pairs`` as JSON Lines."""
    return "".join(f"{pair.model_dump_json()}\n" for pair in pairs)


def data_hash(train: Sequence[QuestionAnswerPair], evaluation: Sequence[QuestionAnswerPair]) -> str:
    """Return the SHA-256 over the bytes of the training file followed by those of the evaluation file."""
    return hashlib.sha256((as_lines(train) + as_lines(evaluation)).encode()).hexdigest()
