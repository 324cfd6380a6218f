"""An answer that a user had something to say about."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cia.answering.prompt import ABSTENTION
from cia.dataset.citation_places import PLACE


class RatedAnswer(BaseModel):
    """A question, what was answered, the thumb, and what should have been said, "" when the user did not say.

    ``user`` is there to be kept out of the pair. ``repo`` is needed only for an answer that declined, which cites nothing.
    Other keys of an export are passed over.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    question: str = Field(min_length=1)
    answer: str
    rating: Literal["up", "down"]
    correction: str = ""
    user: str = ""
    repo: str = ""

    def approved_text(self) -> str:
        """Return, on one line, what the user stands behind. A correction in words alone is of the lines that were cited."""
        answer, correction = (" ".join(text.split()) for text in (self.answer, self.correction))
        if not correction:
            return answer
        if PLACE.search(correction) or ABSTENTION in correction:
            return correction
        return " ".join([correction, *dict.fromkeys(PLACE.findall(answer))])

    def repos(self) -> set[str]:
        """Return the repositories that ``approved_text`` cites, or the one that is named when it cites none."""
        cited = {place[1:].partition("/")[0] for place in PLACE.findall(self.approved_text())}
        return cited or ({self.repo} if self.repo else set())
