"""What there is to know of an answer while it is being told: how long it takes, and what it is made from."""

from __future__ import annotations

import time

from cia.answering import Answer, Event, Sources, Text
from cia.answering.prompt import estimate_tokens
from rag_server.metrics import Metrics


class Telling:
    """Follows the events of one answer. ``repos`` are the repositories whose code it is made from."""

    def __init__(self, metrics: Metrics) -> None:
        self.repos: set[str] = set()
        self._metrics = metrics
        self._begun = time.perf_counter()
        self._sources_at: float | None = None
        self._spoken = False
        self._heard = 0
        self._used: int | None = None

    @property
    def seconds_since_sources(self) -> float:
        """How long ago the sources were found; since the beginning while they are not."""
        return time.perf_counter() - (self._sources_at or self._begun)

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and of what was written: as the model said, or estimated while it has not finished."""
        return self._heard if self._used is None else self._used

    def add(self, event: Event) -> None:
        """Take in the next event."""
        if isinstance(event, Sources):
            self._found(event)
            return
        if not self._spoken:
            self._spoken = True
            self._metrics.first_token(time.perf_counter() - self._begun)
        if isinstance(event, Answer):
            self._used = event.usage.total if event.usage else 0
            self.repos.update(citation.repo for citation in event.citations)
        elif isinstance(event, Text):
            self._heard += estimate_tokens(event.text)

    def _found(self, sources: Sources) -> None:
        self.repos.update(result.repo for result in sources.results)
        self._heard += sum(estimate_tokens(result.text) for result in sources.results)
        if self._sources_at is None:
            self._sources_at = time.perf_counter()
            self._metrics.retrieved(self._sources_at - self._begun)
