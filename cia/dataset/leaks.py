"""What a training set gives away of an evaluation set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cia.dataset.filters.similarity import NearDuplicates, words_of
from cia.dataset.pair import GoldCitation, QuestionAnswerPair
from cia.dataset.split import unit_of
from cia.errors import OperationError

NEARLY_THE_SAME = 0.9
"""Jaccard similarity of the words of two questions with their answers."""


@dataclass(frozen=True, slots=True)
class Leak:
    """The ids of a training and an evaluation pair, and what they share: ``question``, ``definition``, ``lines``, ``copy``
    (the same code elsewhere) or ``wording`` (question and answer differ in a word or so)."""

    train: str
    evaluation: str
    shared: str


def find_leaks(train: Iterable[QuestionAnswerPair], evaluation: Iterable[QuestionAnswerPair]) -> tuple[Leak, ...]:
    """Return each two pairs, one of ``train`` and one of ``evaluation``, that share something, in the order of ``train``."""
    evaluation = list(evaluation)
    known: defaultdict[Hashable, list[str]] = defaultdict(list)
    cited: defaultdict[tuple[str, str, str], list[tuple[GoldCitation, str]]] = defaultdict(list)
    worded = NearDuplicates(NEARLY_THE_SAME)
    for pair in evaluation:
        for key in _identities(pair):
            known[key].append(pair.id)
        for gold in pair.citations:
            cited[gold.repo, gold.commit, gold.file_path].append((gold, pair.id))
        worded.add(_words(pair), pair.id)
    leaks: dict[tuple[str, str], Leak] = {}
    for pair in train:
        found = [(other, str(key[0])) for key in _identities(pair) for other in known.get(key, ())]
        found += [(other, "lines") for gold in pair.citations for other in _overlapping(gold, cited)]
        found += [(other, "wording") for other in worded.like(_words(pair))]
        for other, shared in found:
            leaks.setdefault((pair.id, other), Leak(pair.id, other, shared))
    return tuple(leaks.values())


def check_no_leak(train: Sequence[QuestionAnswerPair], evaluation: Sequence[QuestionAnswerPair]) -> None:
    """Raise OperationError when ``train`` gives away anything of ``evaluation``."""
    leaks = find_leaks(train, evaluation)
    if leaks:
        asked = {pair.id: pair.question for pair in evaluation}
        first = leaks[0]
        questions = len({leak.evaluation for leak in leaks})
        raise OperationError(
            f"the training set gives away {questions} of {len(asked)} evaluation questions, such as {asked[first.evaluation]!r}"
            f" (the same {first.shared} is in both); build the data set again and train on nothing else"
        )


def _identities(pair: QuestionAnswerPair) -> Iterator[tuple[str, ...]]:
    yield "question", " ".join(pair.question.lower().split())
    for gold in pair.citations:
        yield "definition", gold.repo, unit_of(gold.symbol, gold.file_path)
        if gold.content:
            yield "copy", gold.content
    if pair.about:
        yield "definition", pair.repo, unit_of(pair.about)


def _overlapping(gold: GoldCitation, cited: dict[tuple[str, str, str], list[tuple[GoldCitation, str]]]) -> Iterator[str]:
    for other, identity in cited.get((gold.repo, gold.commit, gold.file_path), ()):
        if gold.line_start <= other.line_end and other.line_start <= gold.line_end:
            yield identity


def _words(pair: QuestionAnswerPair) -> frozenset[str]:
    return words_of(f"{pair.question} {pair.answer}") if pair.citations else frozenset()
