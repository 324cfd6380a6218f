"""Whether the index answers a question at all, weighed before any model is asked.

Three things are looked at: how good the best hit is, how much of what the question is about occurs together in one of the
first hits (each word counts by its rarity, so that "kafka" weighs more than "message"), and whether a name that the question
spells out occurs anywhere. A logistic regression over them decides. Its weights were fitted by ``benchmarks/abstention.py`` on
four repositories (click, rich, jinja2, attrs) and measured on others; fit them again when the ranking of search changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cia.retrieval.question import take_apart
from cia.retrieval.result import SearchResult
from cia.retrieval.tokens import stem, terms

if TYPE_CHECKING:
    from cia.retrieval import Retriever

Occurrences = Callable[[Iterable[str]], tuple[dict[str, int], int]]
"""In how many chunks of what was searched each term occurs, and how many chunks there are."""

WEIGHTS = {"score": 0.38, "coverage": 9.63, "missing_names": -2.92}
BIAS = -10.8

SURE = 2.0
"""Log-odds, a probability of 0.88, from which a small model is not asked whether to answer, only with what: it declines more
rightly answered questions in a person's words than unanswerable ones are left."""

HITS_READ = 5
"""Of the first hits, one must bring the question's words together; further down that happens by chance."""

_ASKING = """
argument back between bring call caller certain class code come constant create define definition done each explain file find
function get give given handle happen implement implementation instance instantiate know lives locate location logic long look
looking made make many meant mechanism method module much name need parameter part pass piece place possible purpose return
several show signature single take tell use variable want way work after before during within without
"""
ASKING_WORDS = frozenset(stem(word) for word in _ASKING.split())
"""Words (stems) of the asking, not of the asked: "Which function is called when ..." is not about functions or calls."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for an answer. ``missing_names`` are names in the question that occur nowhere in the code."""

    score: float
    coverage: float
    missing_names: tuple[str, ...]

    @property
    def log_odds(self) -> float:
        """The log-odds that the code answers the question."""
        features = {"score": self.score, "coverage": self.coverage, "missing_names": len(self.missing_names)}
        return BIAS + sum(WEIGHTS[name] * value for name, value in features.items())

    @property
    def answerable(self) -> bool:
        """Whether it is more likely than not that the code answers the question."""
        return self.log_odds >= 0

    @property
    def sure(self) -> bool:
        """Whether it is so likely that a small model's doubt would be worth less."""
        return self.log_odds >= SURE


def rarity_in(retriever: Retriever, repos: Sequence[str] | None) -> Occurrences:
    """Return the Occurrences in what ``retriever`` searches in ``repos`` (None: all)."""
    return partial(retriever.occurrences, repos=repos)


def weigh(question: str, results: Sequence[SearchResult], occurrences: Occurrences) -> Evidence:
    """Return the evidence that ``results``, best first, hold for an answer to ``question``."""
    asked = take_apart(question)
    repos = {stem(word) for result in results for word in terms(result.repo)}
    about = [term for term in dict.fromkeys(terms(question)) if term not in ASKING_WORDS | repos and not term.isdigit()]
    names = {name: _spellings(name.rpartition(".")[2]) for name in asked.names}
    counts, chunks = occurrences([*about, *(spelling for spellings in names.values() for spelling in spellings)])
    absent = [name for name, spellings in names.items() if not any(counts[spelling] for spelling in spellings)]
    missing = tuple(name for name in absent if not any(other.endswith(f".{name}") for other in absent))
    rarity = {term: math.log1p((chunks - counts[term] + 0.5) / (counts[term] + 0.5)) for term in about}
    coverage = max((_coverage(rarity, result) for result in results[:HITS_READ]), default=0.0)
    return Evidence(results[0].score if results else 0.0, coverage, missing)


def _coverage(rarity: dict[str, float], result: SearchResult) -> float:
    total = sum(rarity.values())
    held = set(terms(f"{result.symbol} {result.file_path}\n{result.text}"))
    return sum(weight for term, weight in rarity.items() if term in held) / total if total else 0.0


def _spellings(name: str) -> tuple[str, ...]:
    lowered = name.lower()
    return (lowered, f"_{lowered}", f"__{lowered}", stem(lowered))
