"""A model's text while it is still being written, let through a sentence at a time once it is checked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cia.answering.citations import CheckedText, LineCount, check
from cia.answering.secrets import mask
from cia.retrieval.result import SearchResult

# Where no citation is half-written: after a line, or between a sentence's end and the space that follows it.
_BOUNDARY = re.compile(r"\n|[.!?\]](?=\s)")


class LiveText:
    """Collects pieces and hands out what has been checked, without secrets that a model was trained on.

    ``written`` is all that the model has said so far.
    """

    def __init__(self, context: Sequence[SearchResult], line_count: LineCount | None) -> None:
        self.written = ""
        self._context = context
        self._line_count = line_count
        self._shown = ""
        self._checked_to = 0

    def add(self, piece: str) -> str:
        """Take in a piece; return the text that may be shown next, "" while no citation has stood its check."""
        self.written += piece
        boundary = max((match.end() for match in _BOUNDARY.finditer(self.written, self._checked_to)), default=0)
        if not boundary:
            return ""
        self._checked_to = boundary
        return self._beyond_shown(check(mask(self.written[:boundary]), self._context, self._line_count))

    def end(self) -> tuple[CheckedText, str]:
        """Return the whole text, checked, and what of it has not been shown."""
        checked = check(mask(self.written), self._context, self._line_count)
        return checked, self._beyond_shown(checked)

    def _beyond_shown(self, checked: CheckedText) -> str:
        # What comes later can change how earlier text reads (an inline code span that closes): then nothing more is shown.
        if not checked.citations or not checked.text.startswith(self._shown):
            return ""
        beyond = checked.text[len(self._shown) :]
        self._shown = checked.text
        return beyond
