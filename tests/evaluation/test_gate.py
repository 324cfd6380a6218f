"""The gate on real scores: a shop's questions, the real extractive answers as baseline, and candidates good and bad."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from cia.answering.answer import Answer, Citation
from cia.evaluation import Asked, Decision, EvaluationReport, ExtractiveAnswers, Question, QuestionSet, decide, evaluate
from cia.retrieval.result import SearchResult
from cia.settings import EvaluationSettings, Settings

Reply = Callable[[Asked], tuple[str, list[int]]]
"""A text and the numbers of the chunks it cites."""

ABSTAIN = "The indexed code does not answer this."


class Candidate:
    """Answers by a rule."""

    def __init__(self, name: str, reply: Reply) -> None:
        self.name, self._reply = name, reply

    def answer(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        return [self._answer(each) for each in asked]

    def _answer(self, asked: Asked) -> Answer:
        text, numbers = self._reply(asked)
        cited = [asked.context[number] for number in numbers if number < len(asked.context)]
        citations = tuple(Citation(c.repo, c.commit, c.file_path, c.line_start, c.line_end, c.symbol) for c in cited)
        return Answer(text, text == ABSTAIN, "llm", self.name, citations, {"repo": "shop", "commit": "c" * 40})


@pytest.fixture(scope="module")
def score(questions: QuestionSet) -> Callable[[str, Reply], EvaluationReport]:
    return lambda name, reply: evaluate(Candidate(name, reply), questions, Settings())


@pytest.fixture(scope="module")
def baseline(questions: QuestionSet) -> EvaluationReport:
    return evaluate(ExtractiveAnswers(), questions, Settings())


@pytest.fixture(scope="module")
def knowing(questions: QuestionSet) -> Reply:
    """A model that knows every answer and the place it stands in."""
    pairs = {question.pair.question: question.pair for question in questions.questions}

    def reply(asked: Asked) -> tuple[str, list[int]]:
        pair = pairs[asked.question]
        if pair.kind == "unanswerable":
            return ABSTAIN, []
        symbols = [chunk.symbol for chunk in asked.context]
        return pair.answer, [symbols.index(pair.citations[0].symbol)]

    return reply


def test_a_better_model_is_promoted(score: Callable, knowing: Reply, baseline: EvaluationReport) -> None:
    candidate = score("knowing", knowing)
    decision = decide(candidate, baseline, EvaluationSettings())

    assert decision.promoted, decision.reason
    assert decision.reason.startswith("promoted: right_line_rate gained")
    assert decision.differences["citation_recall"].low > 0
    assert candidate.means["citation_recall"] == 1.0
    assert candidate.means["abstention"] == 1.0


def test_the_same_answers_again_are_no_gain(baseline: EvaluationReport) -> None:
    decision = decide(baseline, baseline, EvaluationSettings(minimum={}))
    assert not decision.promoted
    assert decision.reason == "refused: right_line_rate gained 0.000 [+0.000, +0.000], the interval includes 0"


def test_a_gain_on_a_few_questions_is_luck(
    score: Callable, knowing: Reply, baseline: EvaluationReport, questions: QuestionSet
) -> None:
    known = {row.question: row for row in baseline.rows}
    lost = [q.pair.question for q in questions.questions if known[q.pair.question].values["citation_recall"] == 0][:2]
    extractive = {row.question: row for row in baseline.rows}

    def reply(asked: Asked) -> tuple[str, list[int]]:
        return knowing(asked) if asked.question in lost else (extractive[asked.question].answer, [0, 1, 2])

    decision = decide(score("lucky", reply), baseline, EvaluationSettings(minimum={}))
    assert not decision.promoted
    assert "the interval includes 0" in decision.reason


def words_of(asked: Asked) -> str:
    words = " ".join(chunk.text for chunk in asked.context).split()
    return " ".join(random.Random(asked.question).sample(words, min(20, len(words))))


SABOTAGE: dict[str, Reply] = {
    "always the same fluent sentence": lambda _: ("The function handles the request and returns the result.", [0]),
    "cites everything": lambda asked: (f"`{asked.context[0].symbol}` is in the shop.", [0, 1, 2, 3, 4]),
    "cites nothing": lambda asked: (f"`{asked.context[0].symbol}` is a function.", []),
    "always abstains": lambda _: (ABSTAIN, []),
    "random words": lambda asked: (words_of(asked), [random.Random(asked.question).randrange(5)]),
    "empty": lambda _: ("", [0]),
    "blank": lambda _: (" \n ", [0]),
    "echoes the question": lambda asked: (asked.question, [0]),
    "citations without a word": lambda asked: (f"[{asked.context[0].repo}/{asked.context[0].file_path}:1-2]", [0]),
    "copies the first place": lambda asked: (f"```\n{asked.context[0].text}\n```", [0]),
    "answers what the code does not": lambda asked: (f"`{asked.context[0].symbol}` does this.", [0]),
}


@pytest.mark.parametrize("trick", SABOTAGE)
def test_sabotage_is_refused(score: Callable, baseline: EvaluationReport, trick: str) -> None:
    decision = decide(score(trick, SABOTAGE[trick]), baseline, EvaluationSettings())
    assert not decision.promoted
    assert decision.reason.startswith("refused: ")


def test_right_answers_that_cite_everything_are_refused_for_it(score: Callable, knowing: Reply) -> None:
    """Against a model that cites the one right place, as Production would be."""
    best = score("knowing", knowing)
    greedy = score("greedy", lambda asked: (knowing(asked)[0], [] if knowing(asked)[0] == ABSTAIN else [0, 1, 2, 3, 4]))
    assert "citation_precision fell" in decide(greedy, best, EvaluationSettings(minimum={})).reason
    assert greedy.means["citation_recall"] < best.means["citation_recall"]


@pytest.mark.parametrize("trick", ["empty", "blank"])
def test_an_empty_answer_scores_zero_on_everything_it_is_scored_on(score: Callable, trick: str) -> None:
    for row in score(trick, SABOTAGE[trick]).rows:
        own = {name: value for name, value in row.values.items() if not name.startswith("contextual")}
        assert set(own.values()) - {None} == {0.0}, row


def test_a_judge_that_fails_is_never_a_gain(score: Callable, knowing: Reply, baseline: EvaluationReport) -> None:
    candidate = score("knowing", knowing)

    def unjudged(report: EvaluationReport) -> EvaluationReport:
        rows = [
            row.model_copy(
                update={
                    "values": {**row.values, **dict.fromkeys(("faithfulness", "answer_relevancy"), 0.0)},
                    "failures": {"faithfulness": "the judge is away", "answer_relevancy": "the judge is away"},
                }
            )
            for row in report.rows
        ]
        return report.model_copy(update={"rows": tuple(rows)})

    settings = EvaluationSettings(gain_metrics=["faithfulness"], minimum={})
    assert decide(candidate, baseline, settings).differences["faithfulness"].mean >= 0
    for ours, theirs in [
        (candidate, unjudged(baseline)),
        (unjudged(candidate), baseline),
        (unjudged(candidate), unjudged(baseline)),
    ]:
        decision = decide(ours, theirs, settings)
        assert not decision.promoted
        assert decision.differences["faithfulness"].mean <= 0


def test_what_cannot_be_compared_is_refused(score: Callable, knowing: Reply, baseline: EvaluationReport) -> None:
    candidate, settings = score("knowing", knowing), EvaluationSettings()
    for change, complaint in [
        ({"data_hash": "other"}, "different question sets"),
        ({"index_fingerprint": "other"}, "different indexes"),
        ({"judge": "other"}, "different judges"),
        ({"rows": candidate.rows[1:]}, "same questions"),
        ({"rows": (*candidate.rows[1:], candidate.rows[1])}, "same questions"),
        ({"leaked": (candidate.rows[0].id,)}, "gives away 1"),
    ]:
        decision = decide(candidate.model_copy(update=change), baseline, settings)
        assert not decision.promoted
        assert complaint in decision.reason
    few = {"rows": candidate.rows[:10]}, {"rows": baseline.rows[:10]}
    decision = decide(candidate.model_copy(update=few[0]), baseline.model_copy(update=few[1]), settings)
    assert "10 questions are too few" in decision.reason


def test_floors_and_losses_refuse_in_words(score: Callable, knowing: Reply, baseline: EvaluationReport) -> None:
    candidate = score("knowing", knowing)
    floor = decide(candidate, baseline, EvaluationSettings(minimum={"faithfulness": 0.99999}))
    assert "below its floor of 0.99999" in floor.reason or candidate.means["faithfulness"] == 1.0
    without = candidate.model_copy(
        update={"rows": tuple(row.model_copy(update={"values": {**row.values, "abstention": None}}) for row in candidate.rows)}
    )
    unmeasured = decide(without, baseline, EvaluationSettings(minimum={"abstention": 0.1}))
    assert unmeasured.reason == "refused: abstention is 0.000, below its floor of 0.1"

    # It cites perfectly and talks beside the point.
    beside = score("beside", lambda asked: (f"{knowing(asked)[0]} The weather is fine today.", knowing(asked)[1]))
    assert "fell by" in decide(beside, baseline, EvaluationSettings(minimum={})).reason


def test_each_metric_has_a_tolerance_of_its_own(score: Callable, knowing: Reply) -> None:
    best = score("knowing", knowing)
    shy = score("shy", lambda asked: (ABSTAIN, []) if asked.question.endswith("`Cart.add` do?") else knowing(asked))
    fall = best.means["abstention"] - shy.means["abstention"]
    assert fall > 0.02
    generous = dict.fromkeys((*shy.means,), 1.0)
    assert "abstention fell by" in decide(shy, best, EvaluationSettings(tolerance={**generous, "abstention": 0.02})).reason
    assert "fell by" not in decide(shy, best, EvaluationSettings(tolerance={**generous, "abstention": fall})).reason
    assert "fell by" in decide(shy, best, EvaluationSettings(tolerance={}, default_tolerance=0.0)).reason


@pytest.mark.parametrize(
    "setting", [{"gain_metrics": ["kindness"]}, {"tolerance": {"kindness": 0.1}}, {"minimum": {"kindness": 0.1}}]
)
def test_a_setting_that_names_no_metric_is_refused(baseline: EvaluationReport, setting: dict[str, object]) -> None:
    decision = decide(baseline, baseline, EvaluationSettings(**setting))
    assert not decision.promoted
    assert f"evaluation.{next(iter(setting))} names 'kindness', which is no metric; there are faithfulness" in decision.reason


def test_a_gain_that_may_be_luck_says_how_many_questions_would_tell(
    score: Callable, knowing: Reply, baseline: EvaluationReport
) -> None:
    weak = {row.question for row in baseline.rows if row.values["right_line_rate"] == 0.0}
    few = sorted(weak)[:3]
    known = {row.question: row for row in baseline.rows}

    def reply(asked: Asked) -> tuple[str, list[int]]:
        return knowing(asked) if asked.question in few else (known[asked.question].answer, [0, 1, 2])

    reason = decide(score("a little better", reply), baseline, EvaluationSettings(minimum={}, default_tolerance=1.0)).reason
    assert "right_line_rate gained 0.100" in reason
    assert "30 questions cannot tell such a gain from luck, about " in reason


def test_trusting_the_order_of_the_context_is_not_reading_it(questions: QuestionSet, knowing: Reply, score: Callable) -> None:
    """Most questions have their answer first in rank; whoever learned just that gains, until they are asked in another order."""
    ranked = replace(
        questions,
        questions=tuple(
            replace(question, context=tuple(sorted(question.context, key=lambda chunk: not supports(question, chunk))))
            for question in questions.questions
        ),
    )

    def first(asked: Asked) -> tuple[str, list[int]]:
        right = knowing(asked)
        return right if right[0] == ABSTAIN else (right[0], [0])

    settings = Settings()
    reader, follower = (
        evaluate(Candidate(name, reply), ranked, settings) for name, reply in (("reads", knowing), ("first", first))
    )
    assert follower.means["right_line_rate"] == reader.means["right_line_rate"] == 1.0
    assert follower.means["right_line_shuffled"] < 0.5 < reader.means["right_line_shuffled"]
    half = [row.model_copy(update={"values": {**row.values, "right_line_rate": 0.0}}) for row in reader.rows[::2]]
    weaker = reader.model_copy(update={"rows": (*half, *reader.rows[1::2])})
    assert "right_line_shuffled fell by" in decide(follower, weaker, EvaluationSettings()).reason


def supports(question: Question, chunk: SearchResult) -> bool:
    return any(gold.symbol == chunk.symbol for gold in question.pair.citations)


def test_a_decision_reads_back_as_it_was(score: Callable, knowing: Reply, baseline: EvaluationReport) -> None:
    decision = decide(score("knowing", knowing), baseline, EvaluationSettings())
    assert Decision.from_json(json.loads(json.dumps(decision.as_json()))) == decision
    assert decision.confidence == 0.975
    assert decision.rules["faithfulness"] == "fall at most 0.03; at least 0.5"


def test_forty_questions_are_judged_quickly(questions: QuestionSet) -> None:
    evaluate(ExtractiveAnswers(), questions, Settings())  # imports and caches are warm
    started = time.process_time()
    report = evaluate(ExtractiveAnswers(), questions, Settings())
    assert len(report.rows) >= 30
    assert time.process_time() - started < 10
