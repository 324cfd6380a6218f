"""``cia models canary``: what it prints, and what it refuses in one line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.settings import Settings
from cli.main import run
from rag_server.adapters import AnswerCounts, Arm
from rag_server.database import Database
from tests.rag_server.tiny_adapter import make_adapter, make_base

Cia = Callable[..., SimpleNamespace]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a registry with version 1 in Production, 2 that passed the gate, and 3 that did not."""
    folder = tmp_path_factory.mktemp("registered")
    base = make_base(folder / "base")
    registry = Registry(Settings(home=folder / "home"))
    for number, passed in enumerate((True, True, False)):
        registry.register(make_adapter(folder / f"{number}", base, number), {}, Decision(passed, "so the gate says"), base)
    registry.promote(1)
    return folder / "home" / "mlflow.db"


@pytest.fixture
def home(registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mlflow.db").write_bytes(registered.read_bytes())
    monkeypatch.setenv("CIA_HOME", str(home))
    monkeypatch.setenv("CIA_SERVING__CANARY__MINIMUM_ANSWERS", "20")
    return home


@pytest.fixture
def cia(home: Path, capsys: pytest.CaptureFixture[str]) -> Cia:
    def call(*arguments: str) -> SimpleNamespace:
        code = run(["models", "canary", *arguments])
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)

    return call


def count(home: Path, version: int, **outcomes: int) -> None:
    settings = Settings(home=home)
    canary = Registry(settings).canary()
    assert canary is not None
    with contextlib.closing(Database(settings, {})) as database:
        counts = AnswerCounts(database)
        for outcome, times in outcomes.items():
            for number in range(times):
                counts.answered(f"{version}-{outcome}-{number}", Arm(version, "production", canary.trial), outcome)  # type: ignore[arg-type]


def test_a_trial_from_its_start_to_its_promotion(cia: Cia, home: Path) -> None:
    assert "no version is on trial" in cia("status").out
    started = cia("start", "2", "--percent", "25", "--reason", "shorter answers")
    assert (started.code, started.err) == (0, "")
    assert "code-assistant:2 answers 25% of the users" in started.out

    count(home, 2, answered=18, failed=1)
    count(home, 1, answered=60, abstained=6)
    told = cia("status").out
    assert "code-assistant:2 is on trial with 25% of the users" in told
    assert "1 of 19  5.3% [0.9%, 24.6%]" in told
    assert "6 of 66  9.1% [4.2%, 18.4%]" in told
    assert "not worse beyond the bound; the next look is at 20 answers of each version, of which there are 19" in told

    assert "code-assistant:2 is in Production" in cia("finish").out
    assert "code-assistant:2 was finished" in cia("status").out


def test_the_status_says_that_it_would_be_taken_back_and_why(cia: Cia, home: Path) -> None:
    cia("start", "2")
    count(home, 2, answered=5, failed=25)
    count(home, 1, answered=200)
    assert "worse, and taken back if a look still finds that: errors 25 of 30 (83.3%) against 0 of 200" in cia("status").out
    document = json.loads(cia("status", "--json").out)
    assert (document["canary"]["version"], document["canary"]["percent"], document["is_worse"]) == (2, 10, True)
    assert document["rates"]["errors"]["canary"]["hits"] == 25
    assert document["rates"]["errors"]["production"]["count"] == document["production"]["counts"]["answered"] == 200


def test_an_aborted_trial_says_how_it_ended(cia: Cia) -> None:
    cia("start", "2")
    assert "all users get Production" in cia("abort", "--reason", "enough seen").out
    assert "code-assistant:2 was aborted" in cia("status").out
    last = json.loads(cia("status", "--json").out)
    assert last["canary"] is None
    assert (last["last"]["outcome"], last["last"]["why"]) == ("aborted", "enough seen")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["start", "3"], 1, "did not pass the gate"),
        (["start", "3", "--force"], 2, "reason"),
        (["start", "1"], 2, "in Production already"),
        (["start", "9"], 2, "code-assistant:9"),
        (["start", "2", "--percent", "60"], 2, "percent"),
        (["finish"], 2, "no version is on trial"),
        (["abort"], 2, "no version is on trial"),
    ],
)
def test_a_mistake_is_one_line(cia: Cia, arguments: list[str], code: int, expected: str) -> None:
    done = cia(*arguments)
    assert (done.code, done.out) == (code, "")
    assert expected in done.err
    assert done.err.count("\n") == 1


def test_a_version_that_failed_the_gate_is_tried_by_force_and_not_finished(cia: Cia) -> None:
    assert cia("start", "3", "--force", "--reason", "the judge is wrong").code == 0
    assert "did not pass the gate" in cia("finish").err
