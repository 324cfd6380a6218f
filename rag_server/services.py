"""What the routes work with: one set of parts for each application, closed when it ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request

from cia.answering.answer import Answer
from cia.answering.assistant import Assistant, Event, Sources
from cia.corpus import Corpus
from cia.errors import InputError, NotIndexedError
from cia.retrieval import Retriever, SearchResponse
from cia.settings import Settings
from rag_server.dependency_health import DependencyHealth
from rag_server.metrics import Metrics
from rag_server.production_adapter import ProductionAdapter
from rag_server.tracing import Tracing


class Services:
    """The retriever, the assistant and their watchers. All methods may be called from any thread."""

    def __init__(self, settings: Settings, log: Any, tracing: Tracing | None = None) -> None:
        self.settings = settings
        self.log = log
        self.metrics = Metrics()
        self.corpus = Corpus(settings)
        self.retriever = Retriever(settings)
        self.tracing = tracing or Tracing(settings.tracing)
        self.production = ProductionAdapter(settings, log)
        self.assistant = Assistant(settings, self.retriever, model_name=self.production.name)
        self.health = DependencyHealth(settings, self.retriever, self.production, self.tracing.is_on, self.metrics, log)

    def start(self) -> None:
        """Start the watchers, and load in the background what the first question would wait for."""
        self.production.start()
        self.health.check()
        self.health.start()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def close(self) -> None:
        """Stop the watchers and release what is open."""
        self.production.stop()
        self.health.stop()
        self.tracing.close()
        self.retriever.close()

    def search(
        self, query: str, repos: Sequence[str] | None, limit: int | None, languages: Sequence[str], path: str | None
    ) -> SearchResponse:
        """Search as ``Retriever.search`` does, timed. Raises NotIndexedError also while nothing at all is indexed."""
        self._expect_an_index(repos)
        begun = time.perf_counter()
        response = self.retriever.search(query, repos=repos, limit=limit, languages=languages, path=path)
        self.metrics.retrieved(time.perf_counter() - begun)
        return response

    def answer(self, question: str, repos: Sequence[str] | None, request_id: str) -> Iterator[Event]:
        """Yield the assistant's events for one question, traced, timed and counted.

        Raises InputError for a question that is empty or too long, NotIndexedError for an unknown repository.
        """
        longest = self.settings.rag.max_question_chars
        if not question.strip():
            raise InputError("the question is empty; ask something about the code")
        if len(question) > longest:
            raise InputError(f"the question has {len(question)} characters; at most {longest} are allowed")
        self._expect_an_index(repos)
        begun = retrieved = time.perf_counter()
        with self.tracing.question(question, request_id) as trace:
            for event in self.assistant.stream(question, repos, trace.callbacks, trace.id):
                if isinstance(event, Sources) and retrieved == begun:
                    retrieved = time.perf_counter()
                    self.metrics.retrieved(retrieved - begun)
                elif isinstance(event, Answer):
                    self.metrics.answered(event, time.perf_counter() - retrieved)
                    trace.answered(event)
                yield event

    def _warm_up(self) -> None:
        with contextlib.suppress(Exception):  # the first question will say what is wrong
            self.retriever.search("warm up", limit=1)
        if self.settings.model.base_url is not None:
            import langchain_openai  # noqa: F401  (seconds on a busy machine)

    def _expect_an_index(self, repos: Sequence[str] | None) -> None:
        if repos is None and not self.retriever.repositories():
            raise NotIndexedError("nothing is indexed yet; `cia index SOURCE` adds a repository")


def services_of(request: Request) -> Services:
    """Return the parts of the application that serves ``request``."""
    services: Services = request.app.state.services
    return services


def request_id_of(request: Request) -> str:
    """Return the id under which ``request`` is logged."""
    request_id: str = request.state.request_id
    return request_id


CurrentServices = Annotated[Services, Depends(services_of)]
RequestId = Annotated[str, Depends(request_id_of)]
