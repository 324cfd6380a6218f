from __future__ import annotations

import json
from pathlib import Path

import pytest

from cia.evaluation import Decision, EvaluationReport, ExtractiveAnswers, TransformersAnswers
from cia.settings import Settings
from components.evaluation_artifacts import Verdict, baseline_source


@pytest.mark.parametrize(("use_base_model", "kind"), [(True, TransformersAnswers), (False, ExtractiveAnswers)])
def test_with_nothing_in_production_the_baseline_is_what_answers_then(tmp_path: Path, use_base_model: bool, kind: type) -> None:
    settings = Settings(home=tmp_path)
    answering = settings.answering.model_copy(update={"use_base_model": use_base_model})
    source = baseline_source(settings.model_copy(update={"answering": answering}), "", str(tmp_path))
    assert isinstance(source, kind)
    assert source.name == (settings.model.base_model if use_base_model else "extractive")


def test_a_verdict_leaves_reports_that_read_back_and_pages_with_the_reason_on_top(tmp_path: Path) -> None:
    report = EvaluationReport(name="candidate", judge="offline", data_hash="d", index_fingerprint="i", rows=())
    decision = Decision(False, "refused: 0 questions are too few to tell, 20 are needed")
    verdict = Verdict(report, report.model_copy(update={"name": "base"}), decision)
    verdict.save(tmp_path)
    assert EvaluationReport.from_json((tmp_path / "candidate.json").read_text()) == report
    assert Decision.from_json(json.loads((tmp_path / "decision.json").read_text())) == decision
    for page in (verdict.markdown, verdict.html):
        assert decision.reason in page
