"""Scores the candidate and the baseline on the same questions against the same index, and asks the gate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cia.dataset import load
from cia.durable_files import replace_text
from cia.evaluation import (
    AnswerSource,
    Decision,
    EvaluationReport,
    ExtractiveAnswers,
    TransformersAnswers,
    decide,
    evaluate,
    prepare_questions,
)
from cia.progress import Progress
from cia.registry import Registry
from cia.retrieval import Retriever
from cia.settings import Settings


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both reports, the gate's decision, and the pages that show them."""

    candidate: EvaluationReport
    baseline: EvaluationReport
    decision: Decision

    @property
    def markdown(self) -> str:
        """The comparison with the decision on top."""
        return self.candidate.to_markdown(self.baseline, self.decision)

    @property
    def html(self) -> str:
        """The same as one HTML file with its plot."""
        return self.candidate.to_html(self.baseline, self.decision)

    def save(self, directory: Path) -> None:
        """Write ``candidate.json``, ``baseline.json`` and ``decision.json`` into ``directory``."""
        replace_text(directory / "candidate.json", self.candidate.to_json())
        replace_text(directory / "baseline.json", self.baseline.to_json())
        replace_text(directory / "decision.json", json.dumps(self.decision.as_json(), indent=1) + "\n")


def compare_with_baseline(
    settings: Settings, *, adapter: Path, base: str, questions: Path, train: Path, baseline: str, progress: Progress
) -> Verdict:
    """Return the verdict on ``adapter``; ``baseline`` is a registered version, or "" for what answers without one.

    That is the base model, or the extractive answers where ``answering.use_base_model`` is off.
    """
    retriever = Retriever(settings)
    try:
        pairs, known = load(questions / "evaluation.jsonl"), load(train / "train.jsonl")
        asked = prepare_questions(pairs, retriever, settings, known, progress, train / "examples.jsonl")
    finally:
        retriever.close()
    candidate = evaluate(TransformersAnswers(settings, base, adapter, name="candidate"), asked, settings, progress=progress)
    opponent = evaluate(baseline_source(settings, baseline, base), asked, settings, progress=progress)
    return Verdict(candidate, opponent, decide(candidate, opponent, settings.evaluation))


def baseline_source(settings: Settings, version: str, base: str) -> AnswerSource:
    """Return what answers today: a registered ``version``; with "", the ``base`` model or, where that is off, extracts."""
    if not version:
        unchanged = TransformersAnswers(settings, base, name=settings.model.base_model)
        return unchanged if settings.answering.use_base_model else ExtractiveAnswers()
    registry = Registry(settings)
    served = registry.get(version)
    return TransformersAnswers(settings, served.base_model, registry.fetch(version), name=served.served_name)
