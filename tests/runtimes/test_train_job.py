from __future__ import annotations

from pathlib import Path

import pytest

from cia.errors import OperationError
from cia.progress import silent
from cia.settings import Settings, load_settings
from runtimes.cluster_trainer import ClusterTrainer
from runtimes.fine_tune import parse_options
from runtimes.job_output import JobOutput
from runtimes.local_trainer import LocalTrainer
from runtimes.train_job import FineTuneRequest, FineTuneResult, choose_trainer


def test_every_setting_of_the_training_reaches_the_entry_point(settings: Settings) -> None:
    training = settings.training.model_copy(
        update={"rank": 4, "alpha": 5, "steps": 6, "batch_size": 7, "max_tokens": 80, "learning_rate": 0.09, "seed": 10}
    )
    changed = settings.model_copy(update={"training": training})
    request = FineTuneRequest.of(changed, Path("examples.jsonl"), "org/model", Path("out"), "sqlite:///runs.db")
    options = parse_options(request.arguments())
    assert {name: getattr(options, name) for name in ("rank", "alpha", "steps", "batch_size", "max_tokens", "seed")} == {
        "rank": 4,
        "alpha": 5,
        "steps": 6,
        "batch_size": 7,
        "max_tokens": 80,
        "seed": 10,
    }
    assert options.learning_rate == 0.09
    assert options.target_modules.split(",") == training.target_modules
    assert options.base == "org/model"
    assert options.examples.is_absolute()
    assert options.out.is_absolute()
    assert options.artifact_folder == str(settings.home / "mlartifacts")
    assert options.json_progress


def test_the_profile_chooses_the_trainer(settings: Settings) -> None:
    assert isinstance(choose_trainer(settings), LocalTrainer)
    assert isinstance(choose_trainer(load_settings("cluster", {})), ClusterTrainer)


def test_progress_lines_reach_the_watcher_and_other_lines_become_the_cause() -> None:
    seen: list[tuple[str, int, int]] = []
    output = JobOutput(lambda stage, done, total: seen.append((stage, done, total)))
    output.take('{"stage": "training", "done": 3, "total": 60, "loss": 2.5}\n')
    output.take("Traceback (most recent call last):\n")
    output.take("error: line 4 is not JSON\n")
    assert seen == [("training", 3, 60)]
    assert str(output.failure("the training job")) == "the training job failed: line 4 is not JSON"


def test_a_job_that_the_kernel_killed_is_told_as_want_of_memory() -> None:
    output = JobOutput(silent)
    output.take("bash: line 8: 4711 Killed")
    output.take("[a1-train] Completed with code 137 in 0:00:09 seconds.")
    assert "training.batch_size" in str(output.failure("the training job"))


def test_a_job_without_a_named_cause_shows_its_last_lines() -> None:
    output = JobOutput(silent)
    for number in range(40):
        output.take(f"line {number}")
    assert str(output.failure("the job")).endswith("line 35 | line 36 | line 37 | line 38 | line 39")
    assert "printed nothing" in str(JobOutput(silent).failure("the job"))


def test_a_job_that_left_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="left no result"):
        FineTuneResult.read(tmp_path)
