"""``cia models list|promote|rollback|compare``: what a person reads, and what a program does."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from cia.evaluation import EvaluationReport, decide
from cia.evaluation.report import Row
from cia.registry import Registry
from cia.settings import EvaluationSettings, Settings
from cli.main import run
from tests.rag_server.tiny_adapter import make_adapter, make_base

Cia = Callable[..., SimpleNamespace]


def report(name: str, right: int) -> EvaluationReport:
    rows = tuple(
        Row(
            id=f"q{number:02}", kind="where", question="Where?", expected="There.", answer="It is there.", abstained=False,
            citations=(), gold=(), dropped_citations=0, answer_words=3,
            values={"right_line_rate": float(number < right), "faithfulness": 1.0, "answer_relevancy": 1.0},
        )
        for number in range(60)
    )  # fmt: skip
    return EvaluationReport(name=name, judge="offline", data_hash="d" * 64, index_fingerprint="i" * 64, rows=rows)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two versions that passed the gate and one that did not, none in Production."""
    folder = tmp_path_factory.mktemp("registered")
    base, registry = make_base(folder / "base"), Registry(Settings(home=folder / "home"))
    for number, right in enumerate((45, 57, 31)):
        candidate, baseline = report("candidate", right), report("code-assistant-base", 30)
        decision = decide(candidate, baseline, EvaluationSettings())
        scores = folder / f"scores-{number}"
        scores.mkdir()
        (scores / "candidate.json").write_text(candidate.to_json())
        (scores / "baseline.json").write_text(baseline.to_json())
        (scores / "decision.json").write_text(json.dumps(decision.as_json()))
        tags = {"data_digest": f"{number}" * 40, "index_fingerprint": "i" * 64}
        adapter = make_adapter(folder / f"{number}", base, number)
        registry.register(adapter, candidate.means, decision, base, tags=tags, evaluation=scores)
    return folder / "home"


@pytest.fixture
def cia(registered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cia:
    monkeypatch.setenv("CIA_HOME", str(registered))

    def call(*arguments: str) -> SimpleNamespace:
        code = run(["models", *arguments])
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)

    return call


def test_versions_are_promoted_listed_compared_and_rolled_back(cia: Cia) -> None:
    """One story, in the order in which a person would tell it."""
    assert cia("promote", "1", "--reason", "the first").out == "1 is in Production\n"
    assert cia("promote", "2").out == "2 is in Production\n"

    listed = cia("list").out
    assert "code-assistant:2  Production  answer_relevancy 1.00  faithfulness 1.00  right_line_rate 0.95" in listed
    assert f"data {'1' * 12}, index {'i' * 12}" in listed
    assert f"promoted by {getpass.getuser()} on 20" in listed
    assert "the first" in listed
    assert "code-assistant:3  failed" in listed
    assert "refused: right_line_rate gained 0.017" in listed
    versions = json.loads(cia("list", "--json").out)["models"]
    assert [version["version"] for version in versions] == [3, 2, 1]
    assert versions[2]["tags"]["promoted_why"] == "the first"

    page = cia("compare", "2", "1").out
    assert "| right line rate | 0.950 | 0.750 | +0.200 [" in page
    assert "| why | promoted by hand | the first |" in page
    document = json.loads(cia("compare", "2", "base", "--json").out)
    assert document["second"]["name"] == "code-assistant-base"
    assert document["differences"]["right_line_rate"]["mean"] == pytest.approx(0.45)

    assert cia("rollback", "--reason", "slower").out == "code-assistant:1 is in Production again\n"
    assert "slower" in cia("list").out


def test_a_refused_version_is_promoted_by_force_with_a_reason_and_taken_back(cia: Cia) -> None:
    assert cia("promote", "1").code == 0
    assert cia("promote", "3", "--force", "--reason", "an emergency").out == "3 is in Production\n"
    assert "an emergency" in cia("list").out
    assert cia("rollback").out == "code-assistant:1 is in Production again\n"


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["promote", "3"], 1, "did not pass the gate"),
        (["promote", "3", "--force"], 2, "needs a reason"),
        (["promote", "9"], 2, "no code-assistant:9"),
        (["compare", "1", "1"], 2, "itself"),
        (["compare", "1", "newest"], 2, "no version"),
    ],
)
def test_a_mistake_is_one_line(cia: Cia, arguments: list[str], code: int, expected: str) -> None:
    done = cia(*arguments)
    assert (done.code, done.out) == (code, "")
    assert expected in done.err
    assert done.err.count("\n") == 1
