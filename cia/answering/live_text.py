"""A model's text while it is still being written, let through as soon as what it says can no longer change its meaning."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cia.answering.citations import CheckedText, LineCount, check
from cia.answering.secrets import mask
from cia.retrieval.result import SearchResult

AT_LEAST = 24
"""Characters that are checked together after the first word: some six tokens, so that checking stays cheap."""

GROWTH = 8
"""And a further one for so many that are checked already: each time all of it is read again."""

_FENCE = re.compile(r"^ {0,3}(?:`{3,}|~{3,})", re.MULTILINE)
_TICKS = re.compile(r"`+")
_FIRST_WORD = re.compile(r"\s*[A-Za-z]+")
# Control characters, halves of characters, and marks that turn the direction of reading: none of them is text.
_NO_TEXT = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")


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
        """Take in a piece; return the text that may be shown next, "" while what is there may still become a citation."""
        self.written += _NO_TEXT.sub("", piece)
        if not self._shown and _FIRST_WORD.fullmatch(self.written):
            end = len(self.written)
        else:
            end = _settled(self.written)
            if end < self._checked_to + (AT_LEAST + self._checked_to // GROWTH if self._shown else 1):
                return ""
        self._checked_to = end
        return self._beyond_shown(check(mask(self.written[:end]), self._context, self._line_count))

    def end(self) -> tuple[CheckedText, str]:
        """Return the whole text, checked, and what of it has not been shown."""
        checked = check(mask(self.written), self._context, self._line_count)
        return checked, self._beyond_shown(checked)

    def _beyond_shown(self, checked: CheckedText) -> str:
        # What comes later can change how earlier text reads (an inline code span that closes): then nothing more is shown.
        if not checked.text.startswith(self._shown):
            return ""
        beyond = checked.text[len(self._shown) :]
        self._shown = checked.text
        return beyond


def _settled(text: str) -> int:
    """Where ``text`` may be cut: after a word, or after a line of a code block, with nothing begun that is still open."""
    if len(_FENCE.findall(text)) % 2:
        return text.rfind("\n") + 1
    end = max(text.rfind(" "), text.rfind("\n"), 0)
    ticks = list(_TICKS.finditer(text, text.rfind("\n\n") + 1, end))
    if len(ticks) % 2:
        end = ticks[-1].start()
    bracket = text.rfind("[", text.rfind("\n") + 1, end)
    if bracket >= 0 and "]" not in text[bracket:end]:
        end = bracket
    return end
