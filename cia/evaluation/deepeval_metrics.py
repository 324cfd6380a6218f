"""The four DeepEval metrics, measured with a Judge, without DeepEval's ways to let an answer pass that was never judged.

DeepEval scores 1.0 when a judge finds no claims or no statements, drops verdicts it cannot read, and counts "borderline" (and
"idk") as passed. Here each of these is a fail: a score is the share of plain "yes" among what had to be judged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel

from cia.errors import OperationError
from cia.evaluation.judge import Judge

QUIET = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",  # without it an exit offline takes 10 s, and .deepeval is made where one stands
    "DEEPEVAL_DISABLE_DOTENV": "1",  # a .env in the working directory is none of its business
    "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A metric's ``score`` from 0 to 1, and ``failure``: why the judge gave no usable verdict (then the score is 0), or ""."""

    score: float
    failure: str = ""


class DeepEvalMetrics:
    """Measures answers with DeepEval's own metric classes and one judge.

    Not for two threads at once: DeepEval's metrics keep the last result on themselves.
    """

    def __init__(self, judge: Judge) -> None:
        deepeval = _import_deepeval()
        model = deepeval.judge_model(judge)
        options: dict[str, Any] = {"model": model, "async_mode": False, "include_reason": False}
        self.judge_name = judge.name
        self._test_case = deepeval.test_case
        self._faithfulness = deepeval.faithfulness(penalize_ambiguous_claims=True, **options)
        self._relevancy = deepeval.answer_relevancy(**options)
        self._precision = deepeval.contextual_precision(**options)
        self._recall = deepeval.contextual_recall(**options)

    def faithfulness(self, question: str, answer: str, context: Sequence[str]) -> Judged:
        """Share of the answer's claims that the context supports."""
        case = self._test_case(input=question, actual_output=answer, retrieval_context=list(context))
        return _measured(self._faithfulness, case, lambda metric: len(metric.claims), "claims")

    def answer_relevancy(self, question: str, answer: str) -> Judged:
        """Share of the answer's statements that are about the question."""
        case = self._test_case(input=question, actual_output=answer)
        return _measured(self._relevancy, case, lambda metric: len(metric.statements), "statements")

    def contextual_precision(self, question: str, expected: str, context: Sequence[str]) -> Judged:
        """Whether the useful pieces of context come first (weighted cumulative precision)."""
        if not context:
            return Judged(0.0)
        case = self._test_case(input=question, expected_output=expected, actual_output="", retrieval_context=list(context))
        judged = _measured(self._precision, case, lambda _: len(context), "pieces of context")
        return judged if judged.failure else Judged(float(self._precision.score))

    def contextual_recall(self, question: str, expected: str, context: Sequence[str]) -> Judged:
        """Share of the reference answer's sentences that the context holds."""
        if not context:
            return Judged(0.0)
        case = self._test_case(input=question, expected_output=expected, actual_output="", retrieval_context=list(context))
        return _measured(self._recall, case, lambda metric: len(metric.verdicts), "sentences")


def _measured(metric: Any, case: Any, expected_verdicts: Callable[[Any], int], what: str) -> Judged:
    metric.verdicts = []
    try:
        metric.measure(case, _show_indicator=False)
    except Exception as error:  # whatever a judge or DeepEval raises, the answer was not judged
        return Judged(0.0, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
    expected, verdicts = expected_verdicts(metric), list(metric.verdicts)
    if expected == 0:
        return Judged(0.0)
    if len(verdicts) != expected:
        return Judged(0.0, f"the judge gave {len(verdicts)} verdicts on {expected} {what}")
    return Judged(sum(str(verdict.verdict) == "yes" for verdict in verdicts) / expected)


@dataclass(frozen=True, slots=True)
class _DeepEval:
    test_case: Callable[..., Any]
    faithfulness: Callable[..., Any]
    answer_relevancy: Callable[..., Any]
    contextual_precision: Callable[..., Any]
    contextual_recall: Callable[..., Any]
    judge_model: Callable[[Judge], Any] = field(repr=False)


@cache
def _import_deepeval() -> _DeepEval:
    os.environ.update(QUIET)
    try:
        from deepeval import metrics
        from deepeval.models import DeepEvalBaseLLM
        from deepeval.test_case import LLMTestCase
    except ImportError:
        raise OperationError("deepeval is not installed; install code-intelligence-assistant[evaluation]") from None

    class JudgeModel(DeepEvalBaseLLM):  # type: ignore[no-untyped-call]
        """A Judge in the clothes that DeepEval asks for."""

        def __init__(self, judge: Judge) -> None:
            self.judge = judge
            super().__init__(judge.name)

        def load_model(self) -> JudgeModel:
            return self

        def get_model_name(self) -> str:
            return self.judge.name

        def generate(self, prompt: str, schema: type[BaseModel]) -> BaseModel:  # type: ignore[override]
            return self.judge.judge(prompt, schema)

        async def a_generate(self, prompt: str, schema: type[BaseModel]) -> BaseModel:  # type: ignore[override]
            return self.generate(prompt, schema)

    return _DeepEval(
        test_case=LLMTestCase,
        faithfulness=metrics.FaithfulnessMetric,
        answer_relevancy=metrics.AnswerRelevancyMetric,
        contextual_precision=metrics.ContextualPrecisionMetric,
        contextual_recall=metrics.ContextualRecallMetric,
        judge_model=JudgeModel,
    )
