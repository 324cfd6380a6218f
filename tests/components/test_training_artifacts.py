from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cia.errors import OperationError
from cia.settings import Settings
from components import training_artifacts
from components.training_artifacts import share, train_adapter
from runtimes.train_job import FineTuneRequest, FineTuneResult


class Cluster:
    """Takes the request of a cluster's training as its job would: from the shared volume alone."""

    def __init__(self, settings: Settings, fails: bool = False) -> None:
        self.settings, self.fails = settings, fails
        self.loans: list[str] = []
        self.seen = ""

    def run(self, request: FineTuneRequest, _: Any) -> FineTuneResult:
        if self.fails:
            raise OperationError("the TrainJob failed: out of memory")
        for path in (request.examples, Path(request.base), request.out):
            assert path.is_relative_to(self.settings.home)
        self.seen = request.examples.read_text() + (Path(request.base) / "config.json").read_text()
        (request.out / "adapter").mkdir()
        (request.out / "adapter" / "adapter_config.json").write_text("{}")
        figures = {
            "losses": [2.0, 1.0],
            "seconds": 1.0,
            "tokens_per_second": 9,
            "peak_memory_mib": 9,
            "run_id": "",
            "rewards": [],
        }
        (request.out / "training.json").write_text(json.dumps(figures))
        return FineTuneResult.read(request.out)


@pytest.fixture
def on_cluster(settings: Settings) -> Settings:
    training = settings.training.model_copy(update={"backend": "kubeflow"})
    return settings.model_copy(update={"training": training})


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """A pod's own disk, with examples and a base model."""
    (tmp_path / "pod" / "base").mkdir(parents=True)
    (tmp_path / "pod" / "base" / "config.json").write_text("the model")
    (tmp_path / "pod" / "examples.jsonl").write_text("the examples, ")
    return tmp_path / "pod"


@pytest.fixture
def cluster(on_cluster: Settings, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster(on_cluster)

    def choose(_: Settings, make_room: Callable[[str], None]) -> Cluster:
        make_room("fine-tune-1")
        return cluster

    monkeypatch.setattr(training_artifacts, "choose_trainer", choose)
    monkeypatch.setattr(training_artifacts, "lend_gpu", lambda _, job: cluster.loans.append(job))
    monkeypatch.setattr(training_artifacts, "try_to_end_loan", lambda _: cluster.loans.append("ended"))
    return cluster


def test_a_cluster_s_training_finds_its_input_on_the_shared_volume(
    on_cluster: Settings, cluster: Cluster, artifacts: Path, tmp_path: Path
) -> None:
    base = str(artifacts / "base")
    tuned = train_adapter(on_cluster, base, artifacts, "hash", tmp_path / "adapter", lambda *_: None)
    assert cluster.seen == "the examples, the model"
    assert tuned.base == base
    assert (tmp_path / "adapter" / "adapter_config.json").exists()
    assert list((on_cluster.home / "training-runs").iterdir()) == []
    assert cluster.loans == ["fine-tune-1"]  # the scoring uses it next


def test_the_gpu_goes_back_when_the_training_fails(
    on_cluster: Settings, cluster: Cluster, artifacts: Path, tmp_path: Path
) -> None:
    cluster.fails = True
    with pytest.raises(OperationError, match="out of memory"):
        train_adapter(on_cluster, str(artifacts / "base"), artifacts, "hash", tmp_path / "adapter", lambda *_: None)
    assert cluster.loans == ["fine-tune-1", "ended"]


def test_what_lies_on_the_shared_volume_is_not_copied(settings: Settings, tmp_path: Path) -> None:
    there = settings.home / "models" / "base"
    there.mkdir(parents=True)
    assert share(settings.home, there, tmp_path / "input") == there
    assert not (tmp_path / "input").exists()
