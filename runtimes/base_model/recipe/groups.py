"""What the base model learns from: groups of five neighbouring cards and several questions about them.

Cards are nine tenths of an example. Asked eight questions, they teach eight times as much for twice the work. A group begins with
one question, its answer and what BM25 finds beside it; the others are about the cards that are there by then. Some questions have
no answer among the cards: because it was taken away, because it is about something else, or because there is no such name.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cia.answering.cards import card_of
from cia.chunking import Chunk
from cia.dataset.draft import Draft
from cia.dataset.filters.filter import holds_secret
from cia.dataset.from_code import CodeBase, drafts, unanswerable
from cia.durable_files import replace_text
from cia.retrieval.tokens import STOP_WORDS, terms
from runtimes.base_model.recipe.bm25 import Bm25
from runtimes.base_model.recipe.purpose import asked_by_purpose

CARDS = 5
MOST_QUESTIONS, EACH_CARD = 8, 2
REMOVED, ABSENT, ELSEWHERE = 0.3, 0.2, 0.8
"""Chances: that a group begins with a question whose answer is taken away, or with one about a name that is nowhere; and that it
also has one about a definition that is not shown. Together a seventh of all questions, most of them among near misses."""
UNDOCUMENTED = 0.2
"""Of the cards, those without their documentation: a name, its arguments and what it calls must do."""
NEAREST, STRANGERS = 8, 2
HARD = 0.7
"""Chance that the wrong cards are the nearest; else a mixture of near ones and strangers, as a search finds on a bad day."""
LONGEST_QUESTION, LONGEST_CARDS = 220, 1700
"""Characters."""
MOST_DRAFTS_OF_A_KIND = 1000
FEWEST_CHUNKS = 30


@dataclass(frozen=True, slots=True)
class Question:
    """``gold`` are the numbers of the cards that answer, from 1; empty when none does."""

    kind: str
    text: str
    gold: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Five cards, the questions about them, and the number of the card that BM25 puts first for the first question."""

    repo: str
    cards: tuple[str, ...]
    questions: tuple[Question, ...]
    bm25: int


def groups_of(code: CodeBase, wanted: int, seed: int, most_questions: int = MOST_QUESTIONS) -> Iterator[Group]:
    """Yield at most ``wanted`` groups from a repository; with ``most_questions`` 1, single questions to score a model with."""
    random_ = random.Random(f"{seed} {code.repo}")
    asked = [draft for draft in _drafts(code, random_) if len(draft.question) <= LONGEST_QUESTION]
    pool = list({_place(chunk): chunk for chunk in (*code.code, *(c for draft in asked for c in draft.evidence))}.values())
    if len(pool) >= FEWEST_CHUNKS:
        yield from islice(_Neighbourhoods(code.repo, pool, asked, random_).groups(most_questions), wanted)


class _Neighbourhoods:
    def __init__(self, repo: str, pool: list[Chunk], asked: list[Draft], random_: random.Random) -> None:
        self._repo, self._pool, self._asked, self._random = repo, pool, asked, random_
        self._index = Bm25(pool)
        self._at = {_place(chunk): at for at, chunk in enumerate(pool)}
        self._about: defaultdict[tuple[str, int], list[Draft]] = defaultdict(list)
        for draft in asked:
            for chunk in draft.evidence:
                self._about[_place(chunk)].append(draft)
        self._absent = [draft for draft in asked if not draft.evidence]

    def groups(self, most_questions: int) -> Iterator[Group]:
        for draft in self._asked:
            if self._random.random() < ABSENT and self._absent:
                draft = self._random.choice(self._absent)
            scores = self._index.scores(draft.question)
            gold = [] if self._random.random() < REMOVED else list(draft.evidence)
            near = self._near(scores, draft.evidence, CARDS + 1 - len(gold))
            if len(near) + len(gold) <= CARDS or len(gold) >= CARDS:
                continue
            context = [*gold, *near[:-1]]
            self._random.shuffle(context)
            questions = [(draft, gold), *self._more(draft, context, near[-1])][:most_questions]
            cards = self._cards(context, [asked.question for asked, _ in questions])
            if cards:
                best = max(range(CARDS), key=lambda at: scores[self._at[_place(context[at])]]) + 1
                yield Group(self._repo, cards, tuple(_question(asked, context, found) for asked, found in questions), best)

    def _near(self, scores: NDArray[np.float32], gold: Collection[Chunk], wanted: int) -> list[Chunk]:
        """Return wrong chunks for a question: none that overlaps the gold or is a piece of it."""
        order = np.argsort(-scores, kind="stable")[: NEAREST + 12]
        near = [chunk for at in order if not _same(chunk := self._pool[at], gold)][:NEAREST]
        if self._random.random() < HARD:
            return near[:wanted]
        strangers = self._random.sample(self._pool, STRANGERS)
        mixed = [*near, *(chunk for chunk in strangers if not _same(chunk, (*gold, *near)))]
        self._random.shuffle(mixed)
        return mixed[:wanted]

    def _more(self, first: Draft, context: Sequence[Chunk], outside: Chunk) -> list[tuple[Draft, list[Chunk]]]:
        shown = {_place(chunk) for chunk in context}
        more: dict[str, Draft] = {}
        for chunk in context:
            own = [d for d in self._about[_place(chunk)] if d is not first and {_place(c) for c in d.evidence} <= shown]
            more |= {draft.question: draft for draft in self._random.sample(own, min(EACH_CARD, len(own)))}
        questions = [(draft, list(draft.evidence)) for draft in more.values()]
        self._random.shuffle(questions)
        elsewhere = [d for d in self._about[_place(outside)] if not shown & {_place(c) for c in d.evidence}]
        if elsewhere and self._random.random() < ELSEWHERE:
            questions.insert(0, (self._random.choice(elsewhere), []))
        return questions

    def _cards(self, context: Sequence[Chunk], questions: Iterable[str]) -> tuple[str, ...]:
        """Return the cards' texts; none when one holds a secret, is no text, or all are too long together."""
        asked = frozenset(term for question in questions for term in terms(question)) - STOP_WORDS
        cards = tuple(card_of(chunk, asked, documented=self._random.random() >= UNDOCUMENTED) for chunk in context)
        whole = "".join(cards)
        fits = len(whole) <= LONGEST_CARDS and whole.replace("\n", "").isprintable()
        return cards if fits and not any(holds_secret(chunk.text) for chunk in context) else ()


def write_groups(groups: Iterable[Group], path: Path) -> None:
    """Write ``groups`` as JSON Lines, atomically."""
    replace_text(path, "".join(f"{json.dumps(asdict(group), ensure_ascii=False)}\n" for group in groups))


def read_groups(path: Path) -> list[Group]:
    """Return what ``write_groups`` wrote."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Group(
            row["repo"],
            tuple(row["cards"]),
            tuple(Question(question["kind"], question["text"], tuple(question["gold"])) for question in row["questions"]),
            row["bm25"],
        )
        for row in rows
    ]


def _drafts(code: CodeBase, random_: random.Random) -> list[Draft]:
    """The questions that data sets are made of, and others by purpose; every ninth has no answer anywhere."""
    made = [draft for found in drafts(code, random_).values() for draft in found[:MOST_DRAFTS_OF_A_KIND]]
    made += [draft for _, chunk in sorted(code.definitions.items()) if (draft := asked_by_purpose(chunk, random_))][
        : 2 * MOST_DRAFTS_OF_A_KIND
    ]
    random_.shuffle(made)
    made += islice(unanswerable(code, random_), len(made) // 9)
    return made


def _question(draft: Draft, context: Sequence[Chunk], gold: Sequence[Chunk]) -> Question:
    places = {_place(chunk) for chunk in gold}
    numbers = tuple(number for number, chunk in enumerate(context, start=1) if _place(chunk) in places)
    kind = draft.kind if numbers or not draft.evidence else f"{draft.kind}, not shown"
    return Question(kind, draft.question, numbers)


def _place(chunk: Chunk) -> tuple[str, int]:
    return chunk.file_path, chunk.line_start


def _same(chunk: Chunk, others: Iterable[Chunk]) -> bool:
    return any(
        chunk.file_path == other.file_path
        and (chunk.symbol == other.symbol or (chunk.line_start <= other.line_end and other.line_start <= chunk.line_end))
        for other in others
    )
