"""The whole pipeline with its real parts, small: kfp.local, the Trainer SDK, MLflow on SQLite, DeepEval, embedded Qdrant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cia.errors import OperationError
from cia.evaluation import EvaluationReport, decide
from cia.evaluation.report import Row
from cia.registry import Registry
from cia.settings import Settings, for_child_process, load_settings
from components.evaluation_artifacts import Verdict
from pipelines import run_locally

pytestmark = pytest.mark.slow

STEPS = ["fetch_corpus", "prepare_index", "index_code", "build_dataset", "fine_tune_llm", "evaluate_model", "register_model"]
STEPS += ["report_run"]


def small_settings(folder: Path, **changes: str) -> Settings:
    """Settings for a run of half a minute: this project's own sources, and too few steps to gain anything."""
    source = Path(__file__).resolve().parents[2] / "cia"
    environment = {
        "CIA_HOME": str(folder / "home"),
        "CIA_CORPUS__SOURCES": f"[{source}]",
        "CIA_DATASET__PAIRS_PER_REPO": "80",
        "CIA_TRAINING__STEPS": "3",
        "CIA_EVALUATION__QUESTIONS": "8",
        "CIA_EVALUATION__MINIMUM_QUESTIONS": "5",
        "CIA_MODEL__ANSWER_TOKENS": "16",
    }
    return load_settings(environment=environment | changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[str, str]]:
    """A home in which the pipeline was killed with SIGKILL in the middle, and then run to its end."""
    settings = small_settings(tmp_path_factory.mktemp("pipeline"))
    run_until_killed(settings, "build_dataset")
    return settings, run_locally(settings).steps


def run_until_killed(settings: Settings, step: str) -> None:
    """Start a run in another process, kill that process when ``step`` is at work, and see that nothing is left behind."""
    script = (
        "from cia.settings import load_settings; from pipelines import run_locally\n"
        "run_locally(load_settings(), observe=lambda event: print(event['cia_step'], flush=True))"
    )
    state = settings.home.parent / "child"
    environment = for_child_process(settings, state, {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])})
    runner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert runner.stdout
    assert any(line.strip() == step for line in runner.stdout)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and processes_about(settings.home):
        time.sleep(0.2)
    assert processes_about(settings.home) == []


def processes_about(home: Path) -> list[int]:
    """The processes whose environment names this home."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"CIA_HOME={home}\0".encode() in environment:
                found.append(int(entry.name))
    return found


def test_a_run_after_a_kill_does_every_step(finished: tuple[Settings, dict[str, str]]) -> None:
    _, steps = finished
    assert list(steps) == STEPS
    assert "unchanged" not in steps["fine_tune_llm"]


def test_a_model_that_fails_the_gate_is_registered_with_its_scores_and_not_promoted(
    finished: tuple[Settings, dict[str, str]],
) -> None:
    settings, steps = finished
    registry = Registry(settings)
    (version,) = registry.list()
    assert version.gate == "failed"
    assert version.reason.startswith("refused: ")
    assert "faithfulness" in version.scores
    assert registry.production() is None
    assert "refresh_serving" not in steps
    assert version.reason in steps["register_model"]
    assert steps["report_run"] == f"succeeded: {steps['register_model']}"


def test_the_artifacts_are_what_the_next_step_and_a_person_need(finished: tuple[Settings, dict[str, str]]) -> None:
    settings, _ = finished
    artifacts = settings.home / "pipeline" / "artifacts"
    assert list(artifacts.rglob("adapter_model.safetensors"))
    decision = json.loads(next(artifacts.rglob("decision.json")).read_text())
    assert decision["promoted"] is False
    reports = [path.read_text() for path in artifacts.rglob("evaluate-model/report")]
    assert any("| metric |" in report and "refused" in report for report in reports)
    assert any("<svg" in path.read_text() for path in artifacts.rglob("loss_curve"))


def test_a_second_run_reuses_the_costly_steps_and_registers_nothing_new(finished: tuple[Settings, dict[str, str]]) -> None:
    settings, _ = finished
    events: list[tuple[str, str]] = []
    run_locally(settings, observe=lambda event: events.append((event["cia_step"], event["event"])))
    assert [step for step, event in events if event == "cached"] == ["build_dataset", "fine_tune_llm", "evaluate_model"]
    assert len(Registry(settings).list()) == 1


def test_a_model_that_passes_the_gate_is_promoted_and_fetched_for_serving(
    finished: tuple[Settings, dict[str, str]], tmp_path: Path
) -> None:
    settings, _ = finished
    artifacts = settings.home / "pipeline" / "artifacts"
    reports = [
        EvaluationReport.from_json(next(artifacts.rglob(name)).read_text()) for name in ("candidate.json", "baseline.json")
    ]
    perfect = reports[0].model_copy(update={"rows": tuple(better(row, 1.0) for row in reports[0].rows)})
    poor = reports[1].model_copy(update={"rows": tuple(better(row, 0.0) for row in reports[1].rows)})
    decision = decide(perfect, poor, settings.evaluation)
    assert decision.promoted, decision.reason
    Verdict(perfect, poor, decision).save(tmp_path / "scores")

    run_gate(settings, tmp_path, "passed")

    promoted = Registry(settings).production()
    assert promoted is not None
    assert promoted.tags["promoted_by"] == "pipeline"
    assert promoted.reason == decision.reason
    assert (settings.home / "adapters" / str(promoted.version) / "adapter_model.safetensors").exists()


def better(row: Row, value: float) -> Row:
    """The same answer, scored ``value`` wherever it was scored at all."""
    values = {name: None if known is None else value for name, known in row.values.items()}
    return row.model_copy(update={"values": values, "failures": {}})


def run_gate(settings: Settings, folder: Path, passed: str) -> None:
    adapter = next((settings.home / "pipeline" / "artifacts").rglob("adapter_model.safetensors")).parent
    base = next((settings.home / "models").glob("code-assistant-base-*"))
    script = Path(__file__).with_name("gate_pipeline.py")
    arguments = [str(folder / "root"), str(adapter), json.dumps({"base": str(base)}), str(folder / "scores"), passed]
    environment = for_child_process(settings, folder, {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])})
    done = subprocess.run([sys.executable, str(script), *arguments], env=environment, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_step_that_fails_is_named_with_its_cause_and_the_log(finished: tuple[Settings, dict[str, str]]) -> None:
    settings, _ = finished
    broken = settings.model_copy(update={"corpus": settings.corpus.model_copy(update={"sources": ["/no/such/folder"]})})
    reported: list[str] = []
    with pytest.raises(OperationError) as caught:
        run_locally(broken, observe=lambda event: reported.append(f"{event['cia_step']}: {event.get('summary')}"))
    assert "fetch_corpus" in str(caught.value)
    assert reported[-1].startswith("report_run: failed: fetch_corpus: there is no folder")
    assert "/no/such/folder" in str(caught.value)
    assert str(settings.home / "logs") in str(caught.value)
