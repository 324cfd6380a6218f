"""Answers a question with the chunks that fit it best."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cia.corpus import Corpus
from cia.errors import CiaError, InputError, NotIndexedError, OperationError, UnavailableError
from cia.retrieval.candidate import Candidate, file_stem
from cia.retrieval.embedding import Embedder, open_embedder
from cia.retrieval.exact import answered_first, spelled_out
from cia.retrieval.filters import check_languages, condition_of, parse_query
from cia.retrieval.open_store import open_store
from cia.retrieval.question import Question, take_apart
from cia.retrieval.ranking import rank
from cia.retrieval.result import SearchResponse, SearchResult
from cia.retrieval.sparse import InverseFrequency, SparseTerms, query_vector
from cia.retrieval.store import SCHEMA_VERSION, Condition, Generation, IndexedRepository, file_point_id
from cia.retrieval.tokens import term_ids
from cia.settings import Settings

MAX_LIMIT = 100
NOTICE_SECONDS = 1.0
"""For so long it is taken for granted that a working tree is where it was."""
NOTICE_REST = 50.0
"""Looking through a working tree is followed by this many times as long without: of 10,000 files it takes 0.2 s."""
BEST_FILES = 10
CHUNKS_OF_BEST_FILES = 40


class Retriever:
    """Searches the indexed repositories. Safe to share between threads; sees a new index as soon as it is complete."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = open_store(settings)
        self._corpus = Corpus(settings)
        self._lock = threading.Lock()
        self._open: dict[str, tuple[object, Generation]] = {}
        self._embedder: Embedder | None = None
        self._moved: dict[str, tuple[float, str | None]] = {}

    def search(
        self,
        query: str,
        repos: Sequence[str] | None = None,
        limit: int | None = None,
        languages: Sequence[str] = (),
        path: str | None = None,
    ) -> SearchResponse:
        """Return the best chunks for ``query``, at most ``limit`` (default: the setting).

        ``repos`` None searches all that is indexed, a sequence only those, an empty one nothing. ``repo:``, ``lang:`` and
        ``path:`` inside the query narrow it further; a path that no file matches finds nothing and says so. Raises InputError
        for an empty or over-long query and for a filter or language that there is not, NotIndexedError for an unknown
        repository, OperationError for an index that this release cannot read.
        """
        limit = self._settings.retrieval.limit if limit is None else limit
        if not 1 <= limit <= MAX_LIMIT:
            raise InputError(f"the limit is {limit}; ask for 1 to {MAX_LIMIT} results")
        asked = parse_query(query, repos, languages, path)
        generations = self._generations(asked.repos)
        if not generations:
            return SearchResponse(query, ())
        notices = check_languages(asked.languages, generations)
        conditions = [condition_of(asked, generation) for generation in generations]
        if all(condition is None for condition in conditions):
            return SearchResponse(query, (), (*notices, f"no indexed file matches path:{asked.path}"))
        dense, by_words = self._embed(asked.text)
        question, candidates, idf = self._considered(asked.text, dense, generations, conditions)
        found = answered_first(question, rank(question, candidates, idf))[:limit]
        notices += by_words + self._notices({candidate.repo for candidate in found})
        return SearchResponse(query, tuple(map(_result, found)), notices)

    def candidates(self, query: str, repo: str) -> tuple[Question, list[Candidate], dict[str, float]]:
        """Return ``query`` taken apart, every chunk of ``repo`` that ranking would order, and the IDF of the query's terms.

        Ranking is tuned on this. Raises as ``search`` does.
        """
        asked = parse_query(query, [repo], (), None)
        return self._considered(asked.text, self._embed(asked.text)[0], self._generations([repo]), [Condition({})])

    def repositories(self) -> list[IndexedRepository]:
        """Return what is indexed, by name."""
        return self._store.repositories()

    def fingerprint(self, repos: Sequence[str] | None = None) -> str:
        """Return a hash of what a search of ``repos`` reads: it changes with any commit, model or release of the index."""
        records = [record for record in self._store.repositories() if repos is None or record.name in repos]
        state = [(r.name, r.commit, r.generation, r.embedding_model, r.embedded, r.schema_version) for r in records]
        return hashlib.sha256(repr(state).encode()).hexdigest()[:16]

    def occurrences(self, terms: Iterable[str], repos: Sequence[str] | None = None) -> tuple[dict[str, int], int]:
        """Return in how many chunks of ``repos`` each term (of ``cia.retrieval.tokens``) occurs, and how many chunks there are.

        Raises NotIndexedError for an unknown repository.
        """
        lexicons = [generation.lexicon for generation in self._generations(repos)]
        wanted = list(dict.fromkeys(terms))
        ids = np.asarray(term_ids(wanted), dtype=np.uint32)
        counts = sum((lexicon.frequencies(ids) for lexicon in lexicons), start=np.zeros(len(ids), np.int64))
        return dict(zip(wanted, counts.tolist(), strict=True)), sum(lexicon.documents for lexicon in lexicons)

    def close(self) -> None:
        """Release what is open."""
        with self._lock:
            self._open.clear()
        self._store.close()

    def _generations(self, repos: Sequence[str] | None) -> list[Generation]:
        names = [record.name for record in self._store.repositories()] if repos is None else list(repos)
        return [self._generation(name) for name in names]

    def _generation(self, repo: str) -> Generation:
        version = self._store.version(repo)
        if version is None:
            raise NotIndexedError(f"no repository {repo!r} is indexed; `cia index SOURCE` adds one")
        with self._lock:
            known = self._open.get(repo)
            if known is None or known[0] != version:
                generation = self._store.open(repo)
                self._check(generation.record)
                known = self._open[repo] = (version, generation)
                self._moved.pop(repo, None)
            return known[1]

    def _check(self, record: IndexedRepository) -> None:
        if record.schema_version != SCHEMA_VERSION:
            raise OperationError(
                f"the index of {record.name} has format {record.schema_version}, this release reads {SCHEMA_VERSION};"
                " run `cia index` on it again"
            )
        if record.embedding_model != self._model().name:
            raise OperationError(
                f"the index of {record.name} was made with {record.embedding_model}, the settings say {self._model().name};"
                " run `cia index` on it again, or set index.embedding_model back"
            )

    def _model(self) -> Embedder:
        if self._embedder is None:
            self._embedder = open_embedder(self._settings.index)
        return self._embedder

    def _embed(self, text: str) -> tuple[NDArray[np.float32] | None, tuple[str, ...]]:
        """The vector of a question, if there is one, and what is to be said when the model is away: words still find a lot."""
        try:
            vector = self._model().embed_question(text)
        except UnavailableError as error:
            return None, (f"searched by words alone: {error}",)
        return (vector if vector.any() else None), ()

    def _considered(
        self,
        text: str,
        dense: NDArray[np.float32] | None,
        generations: Sequence[Generation],
        conditions: Sequence[Condition | None],
    ) -> tuple[Question, list[Candidate], dict[str, float]]:
        question = take_apart(text)
        idf = InverseFrequency(generation.lexicon for generation in generations).of(question.terms)
        sparse = query_vector(question.terms, idf)
        candidates: list[Candidate] = []
        for generation, condition in zip(generations, conditions, strict=True):
            if condition is not None:
                candidates += self._candidates(generation, condition, question, dense, sparse)
        return question, candidates, idf

    def _candidates(
        self,
        generation: Generation,
        condition: Condition,
        question: Question,
        dense: NDArray[np.float32] | None,
        sparse: SparseTerms,
    ) -> list[Candidate]:
        limit = self._settings.retrieval.candidates
        vectors: list[NDArray[np.float32] | SparseTerms] = [sparse] if dense is None else [sparse, dense]
        known = [dict(generation.nearest("chunk", vector, limit, condition)) for vector in vectors]
        ids = set().union(*known)
        ids.update(spelled_out(generation, question, condition))
        ids.update(_from_best_files(generation, vectors, condition))
        chosen = sorted(ids)
        payloads = generation.payloads(chosen)
        files = {identifier: file_point_id(payloads[identifier]["file_path"]) for identifier in chosen}
        of_chunks = [
            scores | generation.scores("chunk", vector, [identifier for identifier in chosen if identifier not in scores])
            for vector, scores in zip(vectors, known, strict=True)
        ]
        of_files = [generation.scores("file", vector, sorted(set(files.values()))) for vector in vectors]
        record = generation.record
        chunks_of = generation.manifest().files
        counts = _counts(generation, payloads.values())
        candidates = []
        for identifier in chosen:
            path = payloads[identifier]["file_path"]
            chunk = [scores.get(identifier, 0.0) for scores in of_chunks]
            file = [scores.get(files[identifier], 0.0) for scores in of_files]
            candidates.append(
                Candidate(
                    repo=record.name,
                    commit=record.commit,
                    id=identifier,
                    payload=payloads[identifier],
                    sparse=chunk[0],
                    dense=chunk[1] if dense is not None else 0.0,
                    file_sparse=file[0],
                    file_dense=file[1] if dense is not None else 0.0,
                    file_chunks=len(chunks_of[path][1]) - 1,
                    name_count=counts[payloads[identifier]["name"]],
                    stem_count=counts[file_stem(path)],
                )
            )
        return candidates

    def _notices(self, repos: set[str]) -> tuple[str, ...]:
        return tuple(notice for repo in sorted(repos) if (notice := self._notice(repo)))

    def _notice(self, repo: str) -> str | None:
        """What there is to say about ``repo``; looking through its working tree is done once in a while only."""
        due, notice = self._moved.get(repo, (0.0, None))
        started = time.monotonic()
        if started >= due:
            try:
                notice = self._corpus.moved_past(self._corpus.get(repo))
            except CiaError:
                notice = None  # what the corpus lost is the indexer's to find; the index is whole
            ended = time.monotonic()
            self._moved[repo] = (ended + max(NOTICE_SECONDS, NOTICE_REST * (ended - started)), notice)
        return notice


def _counts(generation: Generation, payloads: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """In how many chunks the names of these chunks and of their files occur."""
    names = {name for payload in payloads for name in (payload["name"], file_stem(payload["file_path"]))}
    counts = generation.lexicon.frequencies(np.asarray(term_ids(names), np.uint32))
    return dict(zip(names, counts.tolist(), strict=True))


def _from_best_files(
    generation: Generation, vectors: Sequence[NDArray[np.float32] | SparseTerms], condition: Condition
) -> set[int]:
    """The best chunks of the files that as a whole fit best: no single chunk of them need stand out."""
    files = {found for vector in vectors for found, _ in generation.nearest("file", vector, BEST_FILES, condition)}
    if not files:
        return set()
    paths = [payload["file_path"] for payload in generation.payloads(sorted(files)).values()]
    within = Condition({**condition.matches, "file_path": paths})
    return {found for vector in vectors for found, _ in generation.nearest("chunk", vector, CHUNKS_OF_BEST_FILES, within)}


def _result(candidate: Candidate) -> SearchResult:
    payload = candidate.payload
    return SearchResult(
        repo=candidate.repo,
        commit=candidate.commit,
        file_path=payload["file_path"],
        line_start=payload["line_start"],
        line_end=payload["line_end"],
        language=payload["language"],
        symbol=payload["symbol"],
        kind=payload["kind"],
        score=round(candidate.score, 4),
        text=payload["text"],
    )
