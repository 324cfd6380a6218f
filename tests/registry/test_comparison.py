"""Versions compared from the reports that were kept with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cia.errors import InputError, OperationError
from cia.evaluation import EvaluationReport, decide
from cia.evaluation.report import Row
from cia.registry import Registry, compare_versions
from cia.settings import EvaluationSettings, Settings

MakeAdapter = Callable[..., Path]
Register = Callable[..., int]


def report(name: str, right: int, questions: int = 60, **changes: str) -> EvaluationReport:
    """Scores of a system that finds the first ``right`` places of so many ``questions``."""
    rows = tuple(
        Row(
            id=f"q{number:02}", kind="where", question=f"Where is it? ({number})", expected="There.", answer="It is there.",
            abstained=False, citations=("[r/f.py:1-2]",), gold=("[r/f.py:1-2]",), dropped_citations=0, answer_words=3,
            values={"right_line_rate": float(number < right), "faithfulness": 1.0, "answer_relevancy": 1.0},
        )
        for number in range(questions)
    )  # fmt: skip
    origin = {"judge": "offline", "data_hash": "d" * 64, "index_fingerprint": "i" * 64, **changes}
    return EvaluationReport(name=name, rows=rows, **origin)


@pytest.fixture
def register(registry: Registry, make_adapter: MakeAdapter, base: Path, tmp_path: Path) -> Register:
    def register(candidate: EvaluationReport, baseline: EvaluationReport) -> int:
        decision = decide(candidate, baseline, EvaluationSettings())
        folder = tmp_path / f"scores-{len(list(tmp_path.glob('scores-*')))}"
        folder.mkdir()
        (folder / "candidate.json").write_text(candidate.to_json())
        (folder / "baseline.json").write_text(baseline.to_json())
        (folder / "decision.json").write_text(json.dumps(decision.as_json()))
        tags = {"data_digest": f"data-{candidate.name}", "code": "same"}
        return registry.register(make_adapter(), candidate.means, decision, base, tags=tags, evaluation=folder).version

    return register


def test_two_versions_are_compared_on_the_same_questions(registry: Registry, register: Register) -> None:
    base_model = report("code-assistant-base", 30)
    register(report("a", 45), base_model)
    register(report("b", 57), base_model)
    registry.promote(2, by="ada", why="finds more")

    compared = compare_versions(registry, "2", "code-assistant:1")

    gain = compared.differences["right_line_rate"]
    assert gain.mean == pytest.approx(0.2)
    assert 0.05 < gain.low < gain.mean < gain.high < 0.4
    page = compared.to_markdown()
    assert page.startswith("# code-assistant:2 against code-assistant:1\n")
    assert "| right line rate | 0.950 | 0.750 | +0.200 [" in page
    assert "| training data | data-b | data-a |" in page
    assert "| promoted by | ada |  |" in page
    assert f"| questions | {'d' * 16} | {'d' * 16} |" in page
    document = json.loads(json.dumps(compared.as_json()))
    assert document["differences"]["right_line_rate"]["low"] == gain.low
    assert document["first"]["facts"]["training_data"] == "data-b"
    assert document["second"]["means"]["right_line_rate"] == 0.75


def test_a_version_is_compared_with_its_base_either_way_round(registry: Registry, register: Register) -> None:
    register(report("a", 45), report("code-assistant-base", 30))
    forth, back = compare_versions(registry, "1", "base"), compare_versions(registry, "base", "1")
    assert (forth.second.name, back.first.name) == ("code-assistant-base", "code-assistant-base")
    assert forth.differences["right_line_rate"].mean == pytest.approx(0.25)
    assert back.differences["right_line_rate"].mean == pytest.approx(-0.25)


@pytest.mark.parametrize(
    ("changes", "apart"),
    [({"data_hash": "e" * 64}, ["questions"]), ({"index_fingerprint": "j" * 64, "judge": "m at u"}, ["index", "judge"])],
)
def test_scores_on_other_questions_or_another_index_are_not_subtracted(
    registry: Registry, register: Register, changes: dict[str, str], apart: list[str]
) -> None:
    register(report("a", 45), report("base", 30))
    register(report("b", 57, **changes), report("base", 30, **changes))
    compared = compare_versions(registry, "2", "1")
    assert compared.scored_apart == apart
    assert compared.differences == {}
    assert f"**Scored on different {' and '.join(apart)}: the means cannot be compared.**" in compared.to_markdown()


def test_what_cannot_be_compared_is_named(
    registry: Registry, register: Register, make_adapter: MakeAdapter, base: Path, settings: Settings
) -> None:
    register(report("a", 45), report("code-assistant:7", 30))
    registry.register(make_adapter(), {}, decide(report("a", 1), report("b", 1), EvaluationSettings()), base)
    for first, second, complaint in [
        ("1", "1", "itself"),
        ("1", "base", "compared with code-assistant:7, not with the base model"),
        ("1", "2", "code-assistant:2 was registered without its evaluation"),
        ("1", "9", "no code-assistant:9"),
    ]:
        with pytest.raises(InputError, match=complaint):
            compare_versions(registry, first, second)
    for path in (settings.home / "mlartifacts").rglob("baseline.json"):
        path.write_text("{}")
    with pytest.raises(OperationError, match="evaluation of code-assistant:1 is gone from the registry or damaged"):
        registry.evaluation(1)


def test_one_training_evaluated_twice_keeps_both_evaluations(
    registry: Registry, make_adapter: MakeAdapter, base: Path, tmp_path: Path
) -> None:
    adapter, run_id = make_adapter(), None
    for number, right in enumerate((20, 40), start=1):
        candidate, baseline = report("candidate", right), report("base", 10)
        decision = decide(candidate, baseline, EvaluationSettings())
        for name, text in (
            ("candidate", candidate.to_json()), ("baseline", baseline.to_json()), ("decision", json.dumps(decision.as_json())),
        ):  # fmt: skip
            (tmp_path / f"{name}.json").write_text(text)
        version = registry.register(adapter, {}, decision, base, run_id=run_id, evaluation=tmp_path)
        run_id = version.run_id
        assert registry.evaluation(number).decision == decision
    assert [registry.evaluation(number).candidate.means["right_line_rate"] for number in (1, 2)] == [20 / 60, 40 / 60]
