"""Writes the data sets where the step's artifacts lie."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cia.corpus import Corpus
from cia.dataset import DatasetReport, build, check_no_leak, load, training_examples, write_examples
from cia.dataset.pair import QuestionAnswerPair
from cia.durable_files import replace_text
from cia.progress import Progress
from cia.retrieval import Retriever
from cia.settings import Settings
from components.tables import markdown_table

SHOWN_OF_EACH_KIND = 3


def write_dataset(
    settings: Settings, names: Sequence[str], train: Path, evaluation: Path, summary: Path, progress: Progress
) -> DatasetReport:
    """Build the sets of the repositories ``names`` into the three paths; return the report.

    Raises OperationError, and writes nothing, when the training set gives away a question of the other.
    """
    train.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=train.parent) as staging:
        built = Path(staging) / "dataset"
        report = build(settings, Corpus(settings), names, built, progress)
        pairs = load(built / "train.jsonl")
        check_no_leak(pairs, load(built / "evaluation.jsonl"))  # of the files themselves, which is what is trained on
        for directory, name in ((train, "train.jsonl"), (evaluation, "evaluation.jsonl")):
            directory.mkdir(parents=True, exist_ok=True)
            os.replace(built / name, directory / name)
    retriever = Retriever(settings)
    try:
        write_examples(training_examples(pairs, retriever, settings, progress), train / "examples.jsonl")
    finally:
        retriever.close()
    replace_text(summary, _summary(report, [*pairs, *load(evaluation / "evaluation.jsonl")]))
    return report


def _summary(report: DatasetReport, pairs: Sequence[QuestionAnswerPair]) -> str:
    counts = [
        (kind, report.kinds["train"].get(kind, 0), report.kinds["evaluation"].get(kind, 0))
        for kind in sorted({pair.kind for pair in pairs})
    ]
    lines = ["# The data set", "", markdown_table(("kind", "train", "evaluation"), counts)]
    lines += [markdown_table(("from", "pairs"), report.sources.items())]
    lines += [
        markdown_table(("left out because", "how many"), report.left_out.items()),
        *report.notices,
        "## A few of each kind",
        "",
    ]
    by_kind = itertools.groupby(sorted(pairs, key=lambda pair: (pair.kind, pair.id)), key=lambda pair: pair.kind)
    rows = [(kind, pair.question, pair.answer) for kind, some in by_kind for pair in itertools.islice(some, SHOWN_OF_EACH_KIND)]
    return "\n".join([*lines, markdown_table(("kind", "question", "answer"), rows)])
