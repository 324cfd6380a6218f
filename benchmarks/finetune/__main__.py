"""Measure what fine-tuning gains: ``python -m benchmarks.finetune``.

For each repository, which nothing here was tuned on: index it, make its questions, train an adapter on one side of them, and
have the extractive answers, the base model and the adapter answer the other side, from the same index. All by the code of the
pipeline's steps, with the settings' defaults. Prints Markdown: the scores, then the gain with its interval, as the gate says it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cia.corpus import Corpus
from cia.dataset import load
from cia.errors import CiaError
from cia.evaluation import (
    Decision,
    EvaluationReport,
    ExtractiveAnswers,
    QuestionSet,
    TransformersAnswers,
    decide,
    evaluate,
    prepare_questions,
)
from cia.retrieval import Indexer, Retriever
from cia.settings import Settings, load_settings
from cli.progress_line import progress_line
from components.dataset_artifacts import write_dataset
from components.training_artifacts import TunedAdapter, train_adapter

REPOSITORIES = ("pypi:celery==5.7.0", "pypi:werkzeug==3.1.9", "pypi:paramiko==4.0.0")
SHOWN = ("right_line_rate", "right_line_shuffled", "citation_precision", "citation_recall", "faithfulness", "abstention")


@dataclass(frozen=True, slots=True)
class Measured:
    """One repository's reports, the adapter's training and the gate's verdict on it."""

    repo: str
    reports: dict[str, EvaluationReport]
    tuned: TunedAdapter
    decision: Decision


def main(arguments: Sequence[str] | None = None) -> int:
    """Index, train, measure, print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetune", description=__doc__)
    parser.add_argument("--sources", nargs="+", default=REPOSITORIES, help="repositories, as `cia index` takes them")
    parser.add_argument("--questions", type=int, default=150, help="of each repository, at most")
    options = parser.parse_args(arguments)
    try:
        print(_heading(), flush=True)
        verdicts = []
        for source in options.sources:
            with tempfile.TemporaryDirectory(prefix="finetune-benchmark-") as folder:
                settings = load_settings(environment={"CIA_HOME": folder})
                evaluation = settings.evaluation.model_copy(update={"questions": options.questions})
                measured = _measure(settings.model_copy(update={"evaluation": evaluation}), source)
            print(_rows(measured), flush=True)
            verdicts.append(
                f"- {measured.repo}, trained in {measured.tuned.metrics['seconds']:.0f} s: {measured.decision.reason}"
            )
        print("", *verdicts, sep="\n")
    except CiaError as error:
        print(f"benchmarks.finetune: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _measure(settings: Settings, source: str) -> Measured:
    train, kept = settings.home / "train", settings.home / "questions"
    with progress_line(source) as progress:
        name = str(Indexer(settings).index(source, progress=progress).as_json()["name"])
        report = write_dataset(settings, [name], train, kept, settings.home / "summary.md", progress)
        questions = _questions(settings, train, kept)
        tuned = train_adapter(
            settings, settings.training.base_model, train, report.data_hash, settings.home / "adapter", progress
        )
        systems = {
            "extractive": ExtractiveAnswers(),
            "base": TransformersAnswers(settings, tuned.base, name="base"),
            "LoRA": TransformersAnswers(settings, tuned.base, settings.home / "adapter", name="LoRA"),
        }
        reports = {title: evaluate(system, questions, settings, progress=progress) for title, system in systems.items()}
    commit = Corpus(settings).get(name).commit[:8]
    return Measured(f"{name}@{commit}", reports, tuned, decide(reports["LoRA"], reports["base"], settings.evaluation))


def _questions(settings: Settings, train: Path, kept: Path) -> QuestionSet:
    with contextlib.closing(Retriever(settings)) as retriever:
        pairs, known = load(kept / "evaluation.jsonl"), load(train / "train.jsonl")
        return prepare_questions(pairs, retriever, settings, known, examples=train / "examples.jsonl")


def _heading() -> str:
    columns = " | ".join(name.replace("_", " ") for name in SHOWN)
    return f"| repository | answers by | questions | {columns} |\n|---|---|---|{'---|' * len(SHOWN)}"


def _rows(measured: Measured) -> str:
    lines = []
    for title, report in measured.reports.items():
        means = report.means
        values = " | ".join(f"{means[name]:.3f}" if name in means else "" for name in SHOWN)
        lines.append(f"| {measured.repo} | {title} | {len(report.rows)} | {values} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
