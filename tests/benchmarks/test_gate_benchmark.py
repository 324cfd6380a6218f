from __future__ import annotations

from benchmarks.gate import promoted
from cia.settings import EvaluationSettings


def test_luck_is_hardly_ever_promoted() -> None:
    share = promoted(EvaluationSettings(), questions=60, gain=0.0, runs=100)
    assert share.rate <= 0.05


def test_an_adapter_that_is_worse_is_not_promoted() -> None:
    assert promoted(EvaluationSettings(), questions=60, gain=-0.1, runs=40).hits == 0


def test_a_large_gain_on_enough_questions_is_promoted() -> None:
    assert promoted(EvaluationSettings(), questions=300, gain=0.15, runs=20).rate >= 0.8
