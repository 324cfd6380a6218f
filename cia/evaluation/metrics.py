"""Everything that is measured on one answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cia.answering.answer import Answer
from cia.dataset.pair import QuestionAnswerPair
from cia.evaluation.citation_metrics import citation_metrics
from cia.evaluation.deepeval_metrics import DeepEvalMetrics, Judged
from cia.evaluation.evidence import describe
from cia.retrieval.result import SearchResult

METRICS = (
    "faithfulness",
    "answer_relevancy",
    "contextual_precision",
    "contextual_recall",
    "citation_precision",
    "citation_recall",
    "right_line_rate",
    "right_line_shuffled",
    "abstention",
)
"""In the order of a report. The contextual ones measure retrieval, and are the same for all that answer from one context.

``right_line_shuffled`` is the right-line rate of questions asked once more with their context in another order: a model that
learned to say "the first one" does well on contexts in order of rank without having read them, and not on these.
"""


@dataclass(frozen=True, slots=True)
class Scores:
    """``values`` from 0 to 1 by metric, None where one says nothing about the question; ``failures`` of the judge likewise."""

    values: dict[str, float | None]
    failures: dict[str, str] = field(default_factory=dict)


class AnswerMetrics:
    """Scores answers with one judge. What depends only on the question and its context is judged once and kept."""

    def __init__(self, deepeval: DeepEvalMetrics) -> None:
        self._deepeval = deepeval
        self._of_context: dict[tuple[str, tuple[str, ...]], dict[str, Judged]] = {}

    def score(self, pair: QuestionAnswerPair, context: Sequence[SearchResult], answer: Answer) -> Scores:
        """Return all METRICS of ``answer``."""
        texts = tuple(describe(result) for result in context)
        judged = {**self._judge_answer(pair, texts, answer), **self._judge_context(pair, texts)}
        values: dict[str, float | None] = {name: result.score for name, result in judged.items()}
        values |= citation_metrics(pair, answer)
        failures = {name: result.failure for name, result in judged.items() if result.failure}
        for name, value in values.items():
            if value is not None and not math.isfinite(value):
                values[name], failures[name] = 0.0, "the score is not a number"
        return Scores({name: values.get(name) for name in METRICS}, failures)

    def _judge_answer(self, pair: QuestionAnswerPair, texts: tuple[str, ...], answer: Answer) -> dict[str, Judged]:
        if not answer.answer.strip():
            return {"faithfulness": Judged(0.0), "answer_relevancy": Judged(0.0)}
        if answer.abstained:
            # It claims nothing about the code; whether that was right is a matter of the question.
            right = Judged(float(pair.kind == "unanswerable"))
            return {"faithfulness": right, "answer_relevancy": right}
        return {
            "faithfulness": self._deepeval.faithfulness(pair.question, answer.answer, texts),
            "answer_relevancy": self._deepeval.answer_relevancy(pair.question, answer.answer),
        }

    def _judge_context(self, pair: QuestionAnswerPair, texts: tuple[str, ...]) -> dict[str, Judged]:
        if pair.kind == "unanswerable":
            return {}
        key = (pair.id, texts)
        if key not in self._of_context:
            self._of_context[key] = {
                "contextual_precision": self._deepeval.contextual_precision(pair.question, pair.answer, texts),
                "contextual_recall": self._deepeval.contextual_recall(pair.question, pair.answer, texts),
            }
        return self._of_context[key]
