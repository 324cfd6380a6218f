"""Answers with checked citations: ``open_assistant(settings)`` for one that is ready, ``Assistant`` to put one together."""

from cia.answering.answer import Answer, Citation, Exchange, Usage
from cia.answering.assistant import Assistant, Event, Sources, Text
from cia.answering.opening import open_assistant
from cia.answering.prompt import ABSTENTION, Budget, build_messages, build_prompt

__all__ = [
    "ABSTENTION", "Answer", "Assistant", "Budget", "Citation", "Event", "Exchange", "Sources", "Text", "Usage", "build_messages",
    "build_prompt", "open_assistant",
]  # fmt: skip
