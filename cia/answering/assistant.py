"""From a question to an answer: retrieve, pack, ask the model, check; and what is said when one of these does not hold.

An answer is the model's only if it makes sense and has at least one citation that stood the check. Anything else (no
model, a model that is away, slow or confused, a text without sources) becomes an extractive answer that says why. A question
that the index does not cover is declined before any model is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal

from cia.answering.abstention import Evidence, rarity_in, weigh
from cia.answering.answer import Answer, Exchange, Usage
from cia.answering.citations import CheckedText, line_count_in
from cia.answering.extractive import PLACES, closest_places, quote_places
from cia.answering.follow_up import resolve
from cia.answering.live_text import LiveText
from cia.answering.model import open_model
from cia.answering.nonsense import nonsense
from cia.answering.prompt import ABSTENTION, Budget, Prompt, build_prompt, estimate_tokens
from cia.answering.secrets import masked
from cia.answering.token_count import TokenCount
from cia.corpus import Corpus, Snapshot
from cia.errors import InputError, OperationError
from cia.retrieval.filters import parse_query
from cia.retrieval.result import SearchResponse, SearchResult
from cia.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable, RunnableConfig

    from cia.retrieval import Retriever

RETRY_TEMPERATURE = 0.3
"""Asked again in the same words at temperature 0, a model repeats itself."""

SMALLER_BUDGET = 0.7
"""Share of the budget for the second attempt, where the first prompt turned out longer than it was estimated to be."""


NO_MODEL = "none"


@dataclass(frozen=True, slots=True)
class Sources:
    """The places that the answer will rest on, as they are shown to the model: ``results[0]`` is what it calls ``[1]``."""

    results: tuple[SearchResult, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A further piece of the answer, checked: its citations are verified. The final Answer holds the whole, and stands."""

    text: str


Event = Sources | Text | Answer


@dataclass(frozen=True, slots=True)
class _Turn:
    """One question on its way: the model that is to answer it ("" for none), what was found, and what is shown.

    ``asked`` is the question in the user's words, ``question`` what is looked for.
    """

    asked: str
    question: str
    model: str
    response: SearchResponse
    evidence: Evidence
    prompt: Prompt
    trace_id: str


@dataclass(frozen=True, slots=True)
class _Said:
    """What came of asking the model once: a text to answer with, or why there is none.

    ``retry_budget`` is the share of the budget with which it is worth asking again, 0 when it is not.
    """

    text: CheckedText | None
    usage: Usage
    reason: str = ""
    retry_budget: float = 0.0


class Assistant:
    """Answers questions over a Retriever. Thread-safe; one instance serves a whole process.

    ``model`` is a LangChain chat model; by default the one that ``settings.model`` names. ``model_name`` is asked before
    each answer which name to request of it for a user (the adapter in Production, which may change meanwhile, or one on
    trial); None means that no adapter is there, and then the base model answers if ``answering.use_base_model`` allows it,
    else nobody does.
    ``count`` counts tokens the way the model does.
    """

    def __init__(
        self,
        settings: Settings,
        retriever: Retriever,
        model: BaseChatModel | None = None,
        model_name: Callable[[str], str | None] | None = None,
        count: Callable[[str], int] = estimate_tokens,
    ) -> None:
        self.settings = settings
        self.retriever = retriever
        self._has_model = model is not None or settings.model.base_url is not None
        self._model = cache(lambda: model or open_model(settings.model))
        self._model_name = model_name or (lambda _: settings.model.base_model if model is not None else None)
        self._budget = Budget.of(settings.model, count)
        self._line_count = line_count_in(_file_reader(Corpus(settings)))

    def ask(
        self,
        question: str,
        repos: Sequence[str] | None = None,
        callbacks: Sequence[Any] | None = None,
        trace_id: str = "",
        history: Sequence[Exchange] = (),
        user: str = "",
    ) -> Answer:
        """Return the answer to ``question`` over ``repos`` (None: all that are indexed).

        ``callbacks`` are LangChain callback handlers, such as Langfuse's; ``trace_id`` is repeated in the answer. With
        ``history``, oldest first, the question is read as a follow-up. ``user`` is who asks, "" nobody in particular. Raises
        NotIndexedError for an unknown repository and InputError for an empty question; never because of a model.
        """
        events = self.stream(question, repos, callbacks, trace_id, history, user)
        return next(event for event in events if isinstance(event, Answer))

    def stream(
        self,
        question: str,
        repos: Sequence[str] | None = None,
        callbacks: Sequence[Any] | None = None,
        trace_id: str = "",
        history: Sequence[Exchange] = (),
        user: str = "",
    ) -> Iterator[Event]:
        """Yield Sources, then Text as it is written and checked, then the Answer. Raises as ``ask`` does.

        Text comes as it is written, and never with a citation that does not hold. If the model turns out to say nothing that
        can be cited, fails, or is asked again, the Answer is another text than the pieces were: it always replaces them.
        """
        model = self._model_to_ask(user)
        retrieve = partial(self._retrieve, repos=repos, model=model, trace_id=trace_id, history=history)
        if not callbacks:  # the chain is there to be watched: its steps cost each token some 60 microseconds
            yield from self._answer(self._pack(retrieve(question)))
            return
        from langchain_core.runnables import RunnableLambda

        chain: Runnable[str, Event] = (
            RunnableLambda(retrieve, name="retrieve")
            | RunnableLambda(self._pack, name="pack")
            | RunnableLambda(self._answer, name="answer")
        )
        yield from chain.stream(question, {"callbacks": list(callbacks or ()), "run_name": "ask"})

    def _model_to_ask(self, user: str) -> str:
        if not self._has_model:
            return ""
        fallback = self.settings.model.base_model if self.settings.answering.use_base_model else ""
        return self._model_name(user) or fallback

    def _retrieve(self, asked: str, repos: Sequence[str] | None, model: str, trace_id: str, history: Sequence[Exchange]) -> _Turn:
        question = resolve(asked, history)
        response = self.retriever.search(question, repos=repos, limit=self.settings.retrieval.limit)
        searched = parse_query(question, repos, (), None)
        evidence = weigh(searched.text, response.results, rarity_in(self.retriever, searched.repos))
        # From here on nobody sees a secret, nor a chunk that will not be shown: neither the model nor a trace.
        shown = response.results[: max(self.settings.answering.context_chunks, PLACES)]
        response = replace(response, results=tuple(map(masked, shown)))
        return _Turn(asked, question, model, response, evidence, Prompt([], ()), trace_id)

    def _pack(self, turn: _Turn, share: float = 1.0) -> _Turn:
        if not turn.model:
            return turn
        chosen = turn.response.results[: self.settings.answering.context_chunks]
        budget = Budget(int(self._budget.tokens * share), self._budget.count)
        return replace(turn, prompt=build_prompt(turn.question, chosen, budget, self.settings.model.form, turn.evidence.sure))

    def _answer(self, turn: _Turn, config: RunnableConfig | None = None) -> Iterator[Event]:
        if not turn.evidence.answerable:
            yield Sources(())
            yield self._declined(turn, "extractive")
            return
        reason, asked, usage = "", "", None
        if self._has_model and not turn.model:
            reason = "no adapter is in Production, and answering.use_base_model is off"
        if turn.model and turn.prompt.context:
            yield Sources(turn.prompt.context)
            asked = turn.model
            said = yield from self._ask_model(turn, config, temperature=0.0, live=True)
            usage = said.usage
            if said.retry_budget:
                turn = self._pack(turn, said.retry_budget)
                yield Sources(turn.prompt.context)
                said = yield from self._ask_model(turn, config, temperature=RETRY_TEMPERATURE, live=False)
                usage += said.usage
            if said.text is not None:
                yield replace(self._spoken(turn, said.text), usage=usage, asked_model=turn.model)
                return
            reason = said.reason
        places = tuple(turn.response.results[:PLACES])
        yield Sources(places)
        text, citations = quote_places(places, self._line_count)
        fallen_back = replace(self._blank(turn), fallback_reason=reason, usage=usage, asked_model=asked)
        yield replace(fallen_back, answer=text, citations=citations)

    def _ask_model(
        self, turn: _Turn, config: RunnableConfig | None, temperature: float, live: bool
    ) -> Generator[Event, None, _Said]:
        reading = LiveText(turn.prompt.context, self._line_count)
        told = TokenCount(turn.prompt, self._budget.count)
        try:
            for said in self._texts(turn, config, temperature, told):
                if (text := reading.add(said)) and live:
                    yield Text(text)
        except Exception as error:  # whatever a neighbour does, the question is answered
            why = f"the model at {self.settings.model.base_url} failed: {_in_a_line(error)}"
            return _Said(None, told.usage, why, _retry_budget(error))
        if why := nonsense(reading.written):
            return _Said(None, told.usage, why, SMALLER_BUDGET)
        checked, rest = reading.end()
        if not checked.citations and not declines(checked.text):
            return _Said(None, told.usage, "the model's answer had no citation that holds")
        if rest and live:
            yield Text(rest)
        return _Said(checked, told.usage)

    def _texts(self, turn: _Turn, config: RunnableConfig | None, temperature: float, told: TokenCount) -> Iterator[str]:
        """Yield what the model says, as it says it; of a choice, what it stands for, once it is made."""
        chosen = ""
        for piece in self._pieces(turn, config, temperature):
            told.add(piece)
            if turn.prompt.choices:
                chosen += str(piece.text)
            else:
                yield str(piece.text)
        if turn.prompt.choices:
            yield turn.prompt.read(chosen)

    def _pieces(self, turn: _Turn, config: RunnableConfig | None, temperature: float) -> Iterator[AIMessage]:
        model = self._model()
        assert model is not None
        # Without an output parser: a chain of two reads its first to the end when it is closed, so that a model would go on
        # writing for a reader who has left.
        speaking = model.bind(model=turn.model, temperature=temperature, **turn.prompt.restriction)
        deadline = time.monotonic() + self.settings.model.timeout_seconds
        for piece in speaking.stream(turn.prompt.messages, config):
            yield piece
            if time.monotonic() > deadline:
                raise TimeoutError(f"no end after {self.settings.model.timeout_seconds:g} s")

    def _spoken(self, turn: _Turn, checked: CheckedText) -> Answer:
        if declines(checked.text):
            return replace(self._declined(turn, "llm"), dropped_citations=checked.dropped)
        return replace(
            self._blank(turn),
            answer=checked.text,
            mode="llm",
            model=turn.model,
            citations=checked.citations,
            dropped_citations=checked.dropped,
        )

    def _declined(self, turn: _Turn, mode: Literal["llm", "extractive"]) -> Answer:
        text, citations = closest_places(turn.response.results, turn.evidence.missing_names, self._line_count)
        model = turn.model if mode == "llm" else NO_MODEL
        return replace(self._blank(turn), answer=text, abstained=True, mode=mode, model=model, citations=citations)

    def _blank(self, turn: _Turn) -> Answer:
        best = turn.response.results[0] if turn.response.results else None
        index = {"repo": best.repo if best else "", "commit": best.commit if best else ""}
        resolved = turn.question if turn.question != turn.asked else ""
        return Answer(
            "", False, "extractive", NO_MODEL, (), index, turn.trace_id, notices=turn.response.notices, resolved_question=resolved
        )


def _retry_budget(error: Exception) -> float:
    """The share of the budget to ask again with: less after a prompt that was too long, 0 when it took all its time."""
    if isinstance(error, TimeoutError):
        return 0.0
    return SMALLER_BUDGET if getattr(error, "status_code", None) == 400 else 1.0


def declines(text: str) -> bool:
    """Whether a model's text says that the code does not answer."""
    return ABSTENTION.rstrip(".").lower() in " ".join(text.lower().split())


def _file_reader(corpus: Corpus) -> Callable[[str, str, str], bytes | None]:
    # A snapshot at a commit never changes, so that what was read of it once holds.
    @lru_cache(maxsize=64)
    def snapshot(repo: str, commit: str) -> Snapshot:
        return corpus.get(repo, commit)

    def read_bytes(repo: str, commit: str, path: str) -> bytes | None:
        try:
            return snapshot(repo, commit).read_bytes(path)
        except (InputError, OperationError):
            return None

    return read_bytes


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
