"""One question-answer pair, a line of the data sets."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

QuestionKind = Literal["where", "what", "signature", "callers", "unanswerable"]
Split = Literal["train", "evaluation"]


class GoldCitation(BaseModel):
    """Lines that a right answer cites."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: str
    commit: str
    file_path: str
    line_start: int
    line_end: int
    symbol: str


class QuestionAnswerPair(BaseModel):
    """A question, its reference answer in plain English, and the lines that support it (none when unanswerable).

    ``id`` is stable for the same question on the same commit. ``split`` never separates pairs about one file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: QuestionKind
    question: str
    answer: str
    citations: tuple[GoldCitation, ...]
    repo: str
    commit: str
    split: Split
