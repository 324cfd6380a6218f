"""One question-answer pair, a line of the data sets."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

QuestionKind = Literal[
    "where", "what", "signature", "raises", "callers", "configuration", "tests", "unanswerable", "explained", "asked"
]
"""The last two are a teacher's and a user's own; the others are made from the code."""

Source = Literal["code", "teacher", "production"]
Split = Literal["train", "evaluation"]


class GoldCitation(BaseModel):
    """Lines that a right answer cites. ``content`` is what ``split.content_of`` says of them: copies of them have the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: str
    commit: str
    file_path: str
    line_start: int
    line_end: int
    symbol: str
    content: str = ""


class QuestionAnswerPair(BaseModel):
    """A question, its reference answer in plain English, and the lines that support it (none when unanswerable).

    ``id`` is stable for the same question on the same commit. ``about`` is the definition that is asked about ("" when it is
    the cited one). ``split`` never separates pairs about one definition.
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
    about: str = ""
    source: Source = "code"
