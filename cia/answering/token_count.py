"""How many tokens a model reads and writes for an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cia.answering.answer import Usage
from cia.answering.prompt import Prompt

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage


class TokenCount:
    """Counts the tokens of one attempt: as the model says, or as they are estimated while it has not."""

    def __init__(self, prompt: Prompt, count: Callable[[str], int]) -> None:
        self._prompt = prompt
        self._count = count
        self._pieces = 0
        self._said: Usage | None = None

    def add(self, piece: AIMessage) -> None:
        """Take in a further piece of what is written."""
        self._pieces += bool(piece.text)
        if piece.usage_metadata:
            self._said = Usage(piece.usage_metadata["input_tokens"], piece.usage_metadata["output_tokens"])

    @property
    def usage(self) -> Usage:
        """What has been read and written so far."""
        if self._said is not None:
            return self._said
        return Usage(sum(self._count(message["content"]) for message in self._prompt.messages), self._pieces)
