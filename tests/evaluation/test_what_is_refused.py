"""What must never be promoted over the base model, on the code of two libraries, and that learning is told from not learning.

The adapters are real LoRAs of the shipped base model, trained for seconds by the training entry point. The questions, the index
and the gate are those of the pipeline.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cia.answering.answer import Answer, Citation
from cia.answering.prompt import ABSTENTION
from cia.corpus import Corpus
from cia.dataset import build, load
from cia.dataset.examples import training_examples, write_examples
from cia.dataset.leaks import check_no_leak
from cia.dataset.pair import QuestionAnswerPair
from cia.errors import InputError
from cia.evaluation import (
    Asked,
    Decision,
    EvaluationReport,
    QuestionSet,
    TransformersAnswers,
    decide,
    evaluate,
    prepare_questions,
)
from cia.retrieval import Indexer, Retriever
from cia.settings import Settings
from runtimes.base_model import shipped_base

BASE = shipped_base()
EXAMPLES, QUESTIONS, SHUFFLED = 128, 80, 30
TRAINING = ["--batch-size", "8", "--learning-rate", "1.5e-3", "--held-out", "0"]


@dataclass(frozen=True)
class Repository:
    """Two indexed libraries, their data set, and what the base model scores on the questions."""

    settings: Settings
    retriever: Retriever
    train: list[QuestionAnswerPair]
    evaluation: list[QuestionAnswerPair]
    questions: QuestionSet
    base: EvaluationReport

    def decide(self, report: EvaluationReport) -> Decision:
        return decide(report, self.base, self.settings.evaluation)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    folder = tmp_path_factory.mktemp("refused")
    settings = Settings(home=folder / "home")
    dataset = settings.dataset.model_copy(update={"pairs_per_repo": 400, "evaluation_share": 0.25})
    evaluation = settings.evaluation.model_copy(update={"questions": QUESTIONS, "shuffled_questions": SHUFFLED})
    settings = settings.model_copy(update={"dataset": dataset, "evaluation": evaluation})
    for library in (httpx, click):
        Indexer(settings).index(str(Path(library.__file__).parent), name=library.__name__)
    build(settings, Corpus(settings), ["httpx", "click"], folder / "data")
    train, kept = (load(folder / "data" / f"{side}.jsonl") for side in ("train", "evaluation"))
    with contextlib.closing(Retriever(settings)) as retriever:
        questions = prepare_questions(kept, retriever, settings, train)
        base = evaluate(TransformersAnswers(settings, BASE, name="base"), questions, settings)
        yield Repository(settings, retriever, train, kept, questions, base)


@pytest.fixture(scope="module")
def examples(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = random.Random(7).sample(repository.train, EXAMPLES)
    path = tmp_path_factory.mktemp("examples") / "examples.jsonl"
    write_examples(training_examples(chosen, repository.retriever, repository.settings), path)
    return path


def train(examples: Path, out: Path, steps: int) -> Path:
    from runtimes.fine_tune import fine_tune
    from runtimes.training_options import parse_options

    options = ["--examples", str(examples), "--base", str(BASE), "--out", str(out), "--steps", str(steps), *TRAINING]
    fine_tune(parse_options(options), lambda *_, **__: None)
    return out / "adapter"


@pytest.fixture(scope="module")
def trained(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(examples, tmp_path_factory.mktemp("trained"), steps=16)


def scored(repository: Repository, adapter: Path) -> EvaluationReport:
    return evaluate(TransformersAnswers(repository.settings, BASE, adapter), repository.questions, repository.settings)


@pytest.fixture(scope="module")
def random_weights(repository: Repository, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> EvaluationReport:
    folder = tmp_path_factory.mktemp("random")
    random_numbers = np.random.default_rng(7)
    weights = load_file(trained / "adapter_model.safetensors")
    noise = {name: random_numbers.normal(0, 0.1, tensor.shape).astype(np.float32) for name, tensor in weights.items()}
    save_file(noise, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_bytes((trained / "adapter_config.json").read_bytes())
    return scored(repository, folder)


@pytest.mark.slow
def test_an_adapter_that_learned_the_repository_is_promoted_over_one_that_learned_nothing(
    repository: Repository, trained: Path, random_weights: EvaluationReport
) -> None:
    """Without this the refusals below would prove nothing. Over the base, seconds of training show a gain, if no sure one."""
    learned = scored(repository, trained)
    decision = decide(learned, random_weights, repository.settings.evaluation)
    assert decision.promoted, decision.reason
    over_base = repository.decide(learned)
    assert over_base.differences["right_line_rate"].mean > 0
    assert over_base.promoted or "includes 0" in over_base.reason


@pytest.mark.slow
def test_an_adapter_trained_on_shuffled_answers_is_refused(repository: Repository, examples: Path, tmp_path: Path) -> None:
    """It learns what there is to learn: that the first place is mostly right. A gain, until the order is another."""
    lines = [json.loads(line) for line in examples.read_text().splitlines()]
    completions = [line["completion"] for line in lines]
    random.Random(7).shuffle(completions)
    mixed = [{**line, "completion": completion} for line, completion in zip(lines, completions, strict=True)]
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in mixed))
    decision = repository.decide(scored(repository, train(tmp_path / "examples.jsonl", tmp_path / "out", steps=12)))
    assert not decision.promoted
    assert decision.differences["right_line_shuffled"].high < 0


@pytest.mark.slow
def test_an_adapter_of_random_weights_is_refused(repository: Repository, random_weights: EvaluationReport) -> None:
    decision = repository.decide(random_weights)
    assert not decision.promoted
    assert decision.reason.startswith("refused: ")


Reply = Callable[[Asked], tuple[str, Sequence[int]]]
"""A text and the numbers of the chunks it cites."""


class Trick:
    """Answers every question by a rule."""

    name = "trick"

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def answer(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        return [self._answer(each) for each in asked]

    def _answer(self, asked: Asked) -> Answer:
        text, numbers = self._reply(asked)
        cited = [asked.context[number] for number in numbers if number < len(asked.context)]
        places = tuple(Citation(c.repo, c.commit, c.file_path, c.line_start, c.line_end, c.symbol) for c in cited)
        return Answer(text, text == ABSTENTION, "llm", self.name, places, {"repo": "", "commit": ""})


TRICKS: dict[str, Reply] = {
    "the same fluent sentence": lambda _: ("The function handles the request and returns the result.", [0]),
    "cites everything": lambda asked: (f"`{asked.context[0].symbol}` is in the code.", range(5)),
    "always abstains": lambda _: (ABSTENTION, []),
    "empty": lambda _: ("", []),
    "cites without a word": lambda asked: ("", [0]),
}


@pytest.mark.slow
@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_refused(repository: Repository, trick: str) -> None:
    decision = repository.decide(evaluate(Trick(TRICKS[trick]), repository.questions, repository.settings))
    assert not decision.promoted
    assert decision.reason.startswith("refused: ")


def everything_right(repository: Repository) -> EvaluationReport:
    """The report of whoever has seen the questions: right about each."""
    rows = [
        row.model_copy(update={"values": {name: None if value is None else 1.0 for name, value in row.values.items()}})
        for row in repository.base.rows
    ]
    return repository.base.model_copy(update={"name": "seen", "rows": tuple(rows)})


@pytest.mark.slow
def test_the_split_leaves_nothing_of_the_evaluation_to_train_on(repository: Repository) -> None:
    check_no_leak(repository.train, repository.evaluation)
    assert repository.questions.leaked == ()
    assert repository.decide(everything_right(repository)).promoted


@pytest.mark.slow
@pytest.mark.parametrize("where", ["pairs", "examples"])
def test_an_adapter_trained_on_the_evaluation_questions_is_refused_whatever_it_scores(
    repository: Repository, where: str, tmp_path: Path
) -> None:
    """The file of examples is what a training reads; that of pairs may be clean beside it."""
    settings, path = repository.settings, tmp_path / "examples.jsonl"
    few = [question.pair for question in repository.questions.questions if question.sure][:3]
    assert write_examples(training_examples(few, repository.retriever, settings), path)
    if where == "pairs":
        asked = prepare_questions(repository.evaluation, repository.retriever, settings, [*repository.train, *few])
    else:
        asked = prepare_questions(repository.evaluation, repository.retriever, settings, repository.train, examples=path)
    assert {pair.id for pair in few} & set(asked.leaked)
    seen = everything_right(repository)
    decision = decide(with_leaks(seen, asked), with_leaks(repository.base, asked), settings.evaluation)
    assert not decision.promoted
    assert f"the training set gives away {len(asked.leaked)} of the questions" in decision.reason


def with_leaks(report: EvaluationReport, asked: QuestionSet) -> EvaluationReport:
    return report.model_copy(update={"leaked": asked.leaked})


@pytest.mark.slow
def test_examples_that_answer_with_the_same_lines_are_a_leak_though_they_ask_otherwise(
    repository: Repository, tmp_path: Path
) -> None:
    path = tmp_path / "examples.jsonl"
    for cited in (question.pair for question in repository.questions.questions if question.pair.citations):
        reworded = cited.model_copy(update={"id": "reworded", "question": f"About {cited.citations[0].symbol}: where do I look?"})
        if write_examples(training_examples([reworded], repository.retriever, repository.settings), path):
            break
    asked = prepare_questions(repository.evaluation, repository.retriever, repository.settings, examples=path)
    assert cited.id in asked.leaked


@pytest.mark.parametrize(
    "line", ["", "{}", '{"messages": []}', '{"messages": [{"content": "Question: a"}], "check": {"gold": [1]}}']
)
def test_a_file_that_holds_no_training_examples_is_refused(tmp_path: Path, line: str) -> None:
    from cia.evaluation.leaked_examples import asked_in_training

    (tmp_path / "examples.jsonl").write_text(f"{line}\n")
    with pytest.raises(InputError, match="line 1, is no training example"):
        asked_in_training(tmp_path / "examples.jsonl", [])
