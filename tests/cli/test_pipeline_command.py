"""``cia pipeline`` as a person calls it, against a stand-in for the Kubeflow Pipelines API."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from tests.pipelines.stand_in_kubeflow import KubeflowPipelines, kubeflow_pipelines


@pytest.fixture
def kubeflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeflowPipelines]:
    with kubeflow_pipelines() as server:
        monkeypatch.setenv("CIA_HOME", str(tmp_path))
        monkeypatch.setenv("CIA_PIPELINE__HOST", server.address)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
        yield server


def test_a_run_is_submitted_with_changes_and_shown_to_its_end(
    kubeflow: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    def finish(run: dict[str, Any]) -> None:
        run["state"] = "SUCCEEDED"
        kubeflow.set_task(run, "fetch-corpus", "SUCCEEDED")
        kubeflow.set_task(run, "register-model", "SUCCEEDED")

    kubeflow.on_look = finish
    assert run(["pipeline", "submit", "--set", "training.steps=200", "--set", "corpus.sources=[a, b]", "--wait"]) == 0
    (submitted,) = kubeflow.runs.values()
    assert submitted["runtime_config"]["parameters"]["training"]["steps"] == 200
    assert submitted["runtime_config"]["parameters"]["sources"] == ["a", "b"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{submitted['run_id']}  {kubeflow.address}/#/runs/details/{submitted['run_id']}"
    assert lines[1].startswith(" ok fetch_corpus")
    assert lines[-1] == "not promoted"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("rag.port=1", "is not SETTING=VALUE of a setting that a run takes with it: corpus.sources, dataset.*"),
        ("training.steps", "is not SETTING=VALUE"),
        ("training.steps=many", "setting 'training.steps' in the variable CIA_TRAINING__STEPS is 'many'"),
        ("training.stepz=1", "unknown setting 'training.stepz'"),
    ],
)
def test_a_change_that_makes_no_sense_is_told_before_anything_is_sent(
    kubeflow: KubeflowPipelines, capsys: pytest.CaptureFixture[str], change: str, told: str
) -> None:
    assert run(["pipeline", "submit", "--set", change]) == 2
    assert told in capsys.readouterr().err
    assert kubeflow.runs == {}


def test_a_run_that_fails_is_told_with_the_step_and_exit_code_1(
    kubeflow: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = kubeflow.add_run("run-1")
    failed["state"] = "FAILED"
    kubeflow.set_task(failed, "fetch-corpus", "FAILED", "no such host")
    assert run(["pipeline", "watch", "run-1"]) == 1
    shown = capsys.readouterr()
    assert "!! fetch_corpus      no such host" in shown.out
    assert f"the run run-1 failed: fetch-corpus: no such host {kubeflow.address}" in shown.err


def test_ctrl_c_leaves_the_run_going_and_says_how_to_end_it(
    kubeflow: KubeflowPipelines, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeflow.add_run("run-1")
    threading.Timer(3.0, lambda: os.kill(os.getpid(), 2)).start()
    assert run(["pipeline", "watch", "run-1"]) == 130
    assert "the run goes on: `cia pipeline watch run-1` shows it, `cia pipeline cancel run-1` ends it" in capsys.readouterr().err
    assert kubeflow.runs["run-1"]["state"] == "RUNNING"
    assert run(["pipeline", "cancel", "run-1"]) == 0
    assert kubeflow.runs["run-1"]["state"] == "CANCELING"


def test_runs_are_listed_a_line_each(kubeflow: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    kubeflow.set_task(kubeflow.add_run("run-1"), "register-model", "SUCCEEDED")
    assert run(["pipeline", "runs"]) == 0
    assert capsys.readouterr().out.split()[:4] == ["run-1", "running", "not", "promoted"]


def test_a_schedule_is_made_and_ended(kubeflow: KubeflowPipelines, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pipeline", "schedule", "--cron", "0 0 1 * * *"]) == 0
    assert run(["pipeline", "schedule", "--delete"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["schedule created", "schedule deleted"]
    assert run(["pipeline", "schedule", "--delete", "--cron", "0 0 1 * * *"]) == 2
