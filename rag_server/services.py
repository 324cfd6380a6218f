"""What the routes work with: one set of parts for each application, closed when it ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Request

from cia.answering import Answer, Event, Exchange
from cia.answering.assistant import Assistant
from cia.answering.secrets import mask, masked
from cia.corpus import Corpus
from cia.errors import CiaError, InputError, NotIndexedError
from cia.retrieval import Retriever, SearchResponse
from cia.retrieval.store import IndexedRepository
from cia.settings import Settings
from rag_server.access import Principal
from rag_server.access.authenticator import Authenticator
from rag_server.adapters import AnswerCounts, CanaryTrial, ServedAdapters
from rag_server.conversations import Conversations, new_id, newest_within
from rag_server.database import Database
from rag_server.dependency_health import DependencyHealth
from rag_server.feedback import FeedbackStore, Rating
from rag_server.limits import ServerLimits
from rag_server.metrics import Metrics
from rag_server.source_lines import SourceLines, read_lines
from rag_server.telling import Telling
from rag_server.tracing import Tracing

NEW_CONVERSATION = "new"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it came in. ``repos`` None asks all that the user may read.

    ``conversation`` is the id of one of the user's, "new" to begin one, None to keep nothing; ``history`` is what a client
    that keeps the conversation itself sent along, oldest first.
    """

    question: str
    repos: Sequence[str] | None = None
    conversation: str | None = None
    history: Sequence[Exchange] = ()


class Services:
    """The retriever, the assistant and their watchers. All methods may be called from any thread.

    Whatever reads code takes the Principal that it is read for, and narrows the repositories before anything is looked up.
    """

    def __init__(self, settings: Settings, log: Any, tracing: Tracing | None = None) -> None:
        self.settings = settings
        self.log = log
        self.metrics = Metrics()
        self.database = Database(settings)
        self.authenticator = Authenticator(settings, self.database)
        self.limits = ServerLimits(settings.rag, log, self.metrics.registry)
        self.conversations = Conversations(self.database)
        self.feedback = FeedbackStore(self.database)
        self.corpus = Corpus(settings)
        self.retriever = Retriever(settings)
        self.tracing = tracing or Tracing(settings.tracing)
        self.adapters = ServedAdapters(settings, log)
        self.trial = CanaryTrial(settings, self.adapters, AnswerCounts(self.database), self.metrics, log)
        self.assistant = Assistant(settings, self.retriever, model_name=self.adapters.name)
        self.health = DependencyHealth(settings, self.retriever, self.adapters, self.trial, self.tracing.is_on, self.metrics, log)

    def start(self) -> None:
        """Start the watchers, and load in the background what the first question would wait for."""
        self.adapters.start()
        self.trial.start()
        self.health.check()
        self.health.start()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def close(self) -> None:
        """Stop the watchers and release what is open."""
        self.adapters.stop()
        self.trial.stop()
        self.health.stop()
        self.tracing.close()
        self.retriever.close()
        self.database.close()

    def repositories(self, principal: Principal) -> list[IndexedRepository]:
        """Return the indexed repositories that the user may read, by name."""
        return [one for one in self.retriever.repositories() if principal.may_read(one.name)]

    def fingerprint(self, principal: Principal, repos: Sequence[str] | None = None) -> str:
        """Return a hash of what a question of this user over ``repos`` reads. Raises as ``search`` does."""
        return self.retriever.fingerprint(self._readable(principal, repos))

    def search(
        self,
        principal: Principal,
        query: str,
        repos: Sequence[str] | None = None,
        limit: int | None = None,
        languages: Sequence[str] = (),
        path: str | None = None,
    ) -> SearchResponse:
        """Search as ``Retriever.search`` does in what the user may read, timed, with the secrets masked.

        Raises NotIndexedError also for a repository that may not be read, and while there is none to search.
        """
        readable = self._readable(principal, repos)
        begun = time.perf_counter()
        response = self.retriever.search(query, repos=readable, limit=limit, languages=languages, path=path)
        self.metrics.retrieved(time.perf_counter() - begun)
        return replace(response, results=tuple(map(masked, response.results)))

    def answer(self, principal: Principal, asked: Asked, request_id: str) -> Iterator[Event]:
        """Yield the assistant's events for one question, traced, timed and counted. A secret in the question is masked.

        Raises InputError for a question that is empty or too long, NotIndexedError for a repository or conversation that is
        not there for this user, LimitError when the user's tokens of the day are spent.
        """
        self._check_length(asked.question)
        readable = self._readable(principal, asked.repos)
        asked = replace(asked, question=mask(asked.question), history=self._history(principal, asked))
        conversation = new_id() if asked.conversation == NEW_CONVERSATION else asked.conversation or ""
        if self.settings.rag.log_questions:
            self.log.info("question", request_id=request_id, user=principal.user, question=asked.question)
        index = self.retriever.fingerprint(readable) if self.tracing.is_on else ""
        with (
            self._budgeted(principal) as telling,
            self.tracing.question(asked.question, request_id, principal.user, conversation or None, index) as trace,
        ):
            said = self.assistant.stream(asked.question, readable, trace.callbacks, trace.id, asked.history, principal.user)
            for event in said:
                telling.add(event)
                if isinstance(event, Answer):
                    cost = self.tracing.cost(event.usage)
                    self.metrics.answered(event, telling.seconds_since_sources, cost)
                    trace.answered(event, cost, self.trial.answered(trace.id, event))
                    event = replace(event, trace_id=trace.id, conversation=conversation)
                    if conversation:
                        event = self._kept(principal, asked, event, telling.repos)
                yield event

    def rate(self, principal: Principal, trace_id: str, rating: Rating) -> None:
        """Keep what a user thought of an answer, and send it to Langfuse."""
        version = self.feedback.give(principal, trace_id, rating)
        self.metrics.rated(rating.rating)
        if version is not None:
            self.metrics.adapter_rated(version, rating.rating)
        self.tracing.rated(trace_id, principal.user, rating)

    def source(
        self, principal: Principal, repo: str, path: str, start: int = 1, end: int | None = None, commit: str | None = None
    ) -> SourceLines:
        """Return lines of a file at ``commit`` (default: the newest), with the secrets masked.

        Raises as ``search`` and ``read_lines`` do.
        """
        self._readable(principal, [repo])
        found = read_lines(self.corpus.get(repo, commit), path, start, end)
        return found.model_copy(update={"lines": mask("\n".join(found.lines), path).split("\n") if found.lines else []})

    def _check_length(self, question: str) -> None:
        longest = self.settings.rag.max_question_chars
        if not question.strip():
            raise InputError("the question is empty; ask something about the code")
        if len(question) > longest:
            raise InputError(f"the question has {len(question)} characters; at most {longest} are allowed")

    @contextlib.contextmanager
    def _budgeted(self, principal: Principal) -> Iterator[Telling]:
        """Yield what is told in the block, and count its tokens at the end, also when nobody listened that long."""
        if self.settings.model.base_url is not None:
            self.limits.token_budget.check(principal.user)
        telling = Telling(self.metrics)
        try:
            yield telling
        finally:
            if self.settings.model.base_url is not None:
                self.limits.token_budget.spend(principal.user, telling.tokens)

    def _history(self, principal: Principal, asked: Asked) -> Sequence[Exchange]:
        """What was said before: ours, which holds no secret, or what a client sent, which may."""
        longest = self.settings.rag.max_history_chars
        if asked.conversation in (None, NEW_CONVERSATION):
            return [Exchange(mask(one.question), mask(one.answer)) for one in newest_within(asked.history, longest)]
        return self.conversations.history(principal, str(asked.conversation), longest)

    def _kept(self, principal: Principal, asked: Asked, answer: Answer, made_from: set[str]) -> Answer:
        begin = asked.conversation == NEW_CONVERSATION
        try:
            self.conversations.keep(principal, answer.conversation, asked.question, answer, made_from, begin)
        except CiaError as error:  # an answer that was found is given, kept or not
            self.log.error("answer not kept", error=str(error))
            return replace(answer, conversation="", notices=(*answer.notices, "the conversation could not be kept"))
        return answer

    def _warm_up(self) -> None:
        with contextlib.suppress(Exception):  # the first question will say what is wrong
            self.retriever.search("warm up", limit=1)
        if self.settings.model.base_url is not None:
            import cia.answering.streaming_chat  # noqa: F401  (LangChain takes a second or more)

    def _readable(self, principal: Principal, asked: Sequence[str] | None) -> list[str]:
        indexed = [one.name for one in self.retriever.repositories()]
        if asked is None and not indexed:
            raise NotIndexedError("nothing is indexed yet; `cia index SOURCE` adds a repository")
        readable = principal.readable(indexed, asked)
        if asked is None and not readable:
            raise NotIndexedError(
                f"no indexed repository may be read by you; an administrator runs `cia users grant {principal.user} --repo NAME`"
            )
        return readable


def services_of(request: Request) -> Services:
    """Return the parts of the application that serves ``request``."""
    services: Services = request.app.state.services
    return services


def request_id_of(request: Request) -> str:
    """Return the id under which ``request`` is logged."""
    request_id: str = request.state.request_id
    return request_id


def principal_of(request: Request) -> Principal:
    """Return who ``request`` is from, as the authentication found."""
    principal: Principal = request.state.principal
    return principal


CurrentServices = Annotated[Services, Depends(services_of)]
CurrentPrincipal = Annotated[Principal, Depends(principal_of)]
RequestId = Annotated[str, Depends(request_id_of)]
