"""One system, scored on a set of questions. What two systems share is prepared once, so that they can be compared.

questions = prepare_questions(pairs, retriever, settings, training_pairs)
candidate = evaluate(TransformersAnswers(settings, base, adapter), questions, settings)
baseline = evaluate(ExtractiveAnswers(), questions, settings)
decision = decide(candidate, baseline, settings.evaluation)
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cia.answering.answer import Answer
from cia.answering.prompt import ABSTENTION
from cia.dataset.leaks import find_leaks
from cia.dataset.pair import QuestionAnswerPair
from cia.errors import InputError
from cia.evaluation.answer_sources import AnswerSource, Asked
from cia.evaluation.citation_metrics import citation_metrics
from cia.evaluation.deepeval_metrics import DeepEvalMetrics
from cia.evaluation.judge import Judge, open_judge
from cia.evaluation.leaked_examples import asked_in_training
from cia.evaluation.metrics import AnswerMetrics, Scores
from cia.evaluation.report import EvaluationReport, Row
from cia.progress import Progress, silent
from cia.retrieval.result import SearchResult
from cia.settings import Settings

if TYPE_CHECKING:
    from cia.retrieval import Retriever

STRIDE = 8
"""Questions answered between two progress reports."""


@dataclass(frozen=True, slots=True)
class Question:
    """A pair, the context that every system gets for it, and whether the assistant would decline before asking a model.

    ``sure`` is ``Evidence.sure``: a model that chooses is not offered to decline.
    """

    pair: QuestionAnswerPair
    context: tuple[SearchResult, ...]
    declined: bool = False
    sure: bool = False


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The questions of an evaluation and what identifies them. ``leaked`` are ids that the training set gives away."""

    questions: tuple[Question, ...]
    data_hash: str
    index_fingerprint: str
    leaked: tuple[str, ...] = ()


def prepare_questions(
    pairs: Sequence[QuestionAnswerPair],
    retriever: Retriever,
    settings: Settings,
    training: Iterable[QuestionAnswerPair] = (),
    progress: Progress = silent,
    examples: Path | None = None,
) -> QuestionSet:
    """Return up to ``evaluation.questions`` of ``pairs``, each with its context as serving would retrieve it.

    The choice depends on the ids alone. What ``training`` pairs, or a file of training ``examples``, give away of the
    chosen ones is named in ``leaked``. Raises InputError when there are none, NotIndexedError for a repository that is not.
    """
    from cia.answering.abstention import rarity_in, weigh

    chosen = choose(pairs, settings.evaluation.questions)
    repos = sorted({pair.repo for pair in chosen})
    rarity = rarity_in(retriever, repos)
    questions = []
    for number, pair in enumerate(chosen):
        progress("retrieving", number, len(chosen))
        results = retriever.search(pair.question, repos=repos, limit=settings.retrieval.limit).results
        context = tuple(results[: settings.answering.context_chunks])
        evidence = weigh(pair.question, results, rarity)
        questions.append(Question(pair, context, not evidence.answerable, evidence.sure))
    leaked = {leak.evaluation for leak in find_leaks(training, chosen)}
    if examples is not None:
        leaked |= asked_in_training(examples, chosen)
    return QuestionSet(tuple(questions), data_hash(chosen), retriever.fingerprint(repos), tuple(sorted(leaked)))


def evaluate(
    source: AnswerSource, questions: QuestionSet, settings: Settings, judge: Judge | None = None, progress: Progress = silent
) -> EvaluationReport:
    """Return how well ``source`` answers ``questions``, judged by ``judge`` (default: the one that the settings name)."""
    started = time.monotonic()
    judge = judge or open_judge(settings.evaluation)
    metrics = AnswerMetrics(DeepEvalMetrics(judge))
    asked = time.monotonic()
    answers = _answers(source, questions.questions, progress)
    reordered = _reordered(questions.questions, settings.evaluation.shuffled_questions)
    again = dict(zip([question.pair.id for question in reordered], _answers(source, reordered, progress), strict=True))
    answering_seconds = time.monotonic() - asked
    rows = []
    for number, (question, answer) in enumerate(zip(questions.questions, answers, strict=True)):
        progress("judging", number, len(answers))
        scores = metrics.score(question.pair, question.context, answer)
        if question.pair.id in again:
            scores.values["right_line_shuffled"] = citation_metrics(question.pair, again[question.pair.id])["right_line_rate"]
        rows.append(_row(question.pair, answer, scores))
    return EvaluationReport(
        name=source.name,
        judge=judge.name,
        data_hash=questions.data_hash,
        index_fingerprint=questions.index_fingerprint,
        rows=tuple(rows),
        leaked=questions.leaked,
        seconds=round(time.monotonic() - started, 2),
        answering_seconds=round(answering_seconds, 2),
        tokens_per_second=getattr(source, "tokens_per_second", None),
    )


def choose(pairs: Sequence[QuestionAnswerPair], most: int) -> list[QuestionAnswerPair]:
    """Return at most ``most`` pairs, spread over all of them and the same ones every time, ordered by id."""
    if not pairs:
        raise InputError("there are no evaluation questions; build the data set first")
    spread = sorted(pairs, key=_draw)
    return sorted(spread[:most], key=lambda pair: pair.id)


def data_hash(pairs: Iterable[QuestionAnswerPair]) -> str:
    """Return the SHA-256 over the pairs in order of their ids."""
    digest = hashlib.sha256()
    for pair in sorted(pairs, key=lambda pair: pair.id):
        digest.update(pair.model_dump_json().encode() + b"\n")
    return digest.hexdigest()


def _answers(source: AnswerSource, questions: Sequence[Question], progress: Progress) -> list[Answer]:
    declined = Answer(ABSTENTION, True, "extractive", "none", (), {"repo": "", "commit": ""})
    answers = [declined] * len(questions)
    asked = [number for number, question in enumerate(questions) if not question.declined]
    for start in range(0, len(asked), STRIDE):
        progress("answering", start, len(asked))
        batch = asked[start : start + STRIDE]
        replies = source.answer([_asked(questions[number]) for number in batch])
        for number, reply in zip(batch, replies, strict=True):
            answers[number] = reply
    return answers


def _asked(question: Question) -> Asked:
    return Asked(question.pair.question, question.context, question.sure)


def _reordered(questions: Sequence[Question], most: int) -> list[Question]:
    """At most ``most`` of the questions whose context holds what answers them, each with its context in another order."""
    askable = [
        question for question in questions if not question.declined and _holds_gold(question) and len(question.context) > 1
    ]
    spread = sorted(askable, key=lambda question: _draw(question.pair))[:most]
    return [replace(question, context=_in_other_order(question)) for question in spread]


def _in_other_order(question: Question) -> tuple[SearchResult, ...]:
    context = list(question.context)
    random.Random(question.pair.id).shuffle(context)
    return tuple(context)


def _holds_gold(question: Question) -> bool:
    return any(
        (shown.repo, shown.file_path) == (gold.repo, gold.file_path)
        and shown.line_start <= gold.line_end
        and gold.line_start <= shown.line_end
        for gold in question.pair.citations
        for shown in question.context
    )


def _draw(pair: QuestionAnswerPair) -> bytes:
    return hashlib.sha256(pair.id.encode()).digest()


def _row(pair: QuestionAnswerPair, answer: Answer, scores: Scores) -> Row:
    return Row(
        id=pair.id,
        kind=pair.kind,
        question=pair.question,
        expected=pair.answer,
        answer=answer.answer,
        abstained=answer.abstained,
        citations=tuple(str(citation) for citation in answer.citations),
        gold=tuple(f"[{gold.repo}/{gold.file_path}:{gold.line_start}-{gold.line_end}]" for gold in pair.citations),
        dropped_citations=answer.dropped_citations,
        answer_words=len(answer.answer.split()),
        values=scores.values,
        failures=scores.failures,
    )
