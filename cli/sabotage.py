"""What the gate is for, shown: the demo's data set with its answers mixed up, trained on and scored like any other."""

from __future__ import annotations

import json
import random
from pathlib import Path

from cia.corpus import Corpus
from cia.durable_files import replace_directory, replace_text
from cia.progress import Progress
from cia.registry import RegisteredAdapter
from cia.settings import Settings

STEPS = 40
"""Enough to unlearn: the wrong answers are learnt as fast as the right ones were."""


def register_sabotaged(settings: Settings, production: RegisteredAdapter, progress: Progress) -> str:
    """Train on every question with the answer to another, score that against ``production`` and register it.

    Return what became of it, as the pipeline's own steps say it. A second call for the same ``production`` reuses the training.
    """
    from components.evaluation_artifacts import compare_with_baseline
    from components.registration import register
    from components.training_artifacts import train_adapter
    from runtimes.quiet import quiet_libraries

    quiet_libraries()
    folder = settings.home / "demo" / f"sabotaged-for-{production.version}-{production.run_id}"
    if not folder.exists():
        training = settings.training.model_copy(update={"steps": STEPS})
        settings = settings.model_copy(update={"training": training})
        with replace_directory(folder) as staging:
            train, questions = staging / "train", staging / "questions"
            data_hash = _write_sabotaged_dataset(settings, train, questions, progress)
            adapter = staging / "adapter"
            tuned = train_adapter(settings, production.base_model, train, data_hash, adapter, progress)
            verdict = compare_with_baseline(
                settings,
                adapter=adapter,
                base=tuned.base,
                questions=questions,
                train=train,
                baseline=str(production.version),
                progress=progress,
            )
            scores = staging / "scores"
            scores.mkdir()
            verdict.save(scores)
            facts = {"base": tuned.base, "run_id": tuned.run_id, "data_digest": data_hash}
            replace_text(staging / "facts.json", json.dumps(facts))
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    _, sentence = register(folder / "adapter", facts, folder / "scores")
    return sentence


def _write_sabotaged_dataset(settings: Settings, train: Path, questions: Path, progress: Progress) -> str:
    from components.dataset_artifacts import write_dataset

    names = [snapshot.repo for snapshot in Corpus(settings).snapshots()]
    report = write_dataset(settings, names, train, questions, train.parent / "summary.md", progress)
    path = train / "examples.jsonl"
    examples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    random_ = random.Random(settings.dataset.seed)
    for example in examples:
        wrong = [choice for choice in example["check"]["choices"] if choice != example["completion"]]
        example["completion"] = random_.choice(wrong or [example["completion"]])
    replace_text(path, "".join(f"{json.dumps(example)}\n" for example in examples))
    return f"sabotaged {report.data_hash}"
