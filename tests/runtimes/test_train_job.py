from __future__ import annotations

from pathlib import Path

import pytest

from cia.errors import OperationError
from cia.progress import silent
from cia.settings import EarlyStoppingSettings, GrpoSettings, Settings, TrainingSettings, load_settings
from runtimes.cluster_trainer import ClusterTrainer
from runtimes.job_output import JobOutput
from runtimes.local_trainer import LocalTrainer
from runtimes.train_job import TORCHRUN, FineTuneRequest, FineTuneResult, choose_trainer
from runtimes.training_options import parse_options


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


def test_the_newer_settings_travel_too(settings: Settings) -> None:
    training = TrainingSettings(
        method="sft+grpo",
        packing="by_length",
        memory="24GB",
        gradient_accumulation=4,
        gradient_checkpointing=True,
        precision="float32",
        threads=2,
        warm_up=0.1,
        early_stopping=EarlyStoppingSettings(share=0.2, patience=3),
        grpo=GrpoSettings(steps=3, questions=2, answers=4, learning_rate=0.5, temperature=0.7, beta=0.1, answer_tokens=9),
    )
    changed = settings.model_copy(update={"training": training})
    options = parse_options(FineTuneRequest.of(changed, Path("a"), "b", Path("c"), data_hash="4711").arguments())
    assert (options.method, options.packing, options.memory, options.precision) == ("sft+grpo", "by_length", "24GB", "float32")
    assert (options.gradient_accumulation, options.gradient_checkpointing, options.threads) == (4, "on", 2)
    assert (options.warm_up, options.held_out, options.patience, options.data_hash) == (0.1, 0.2, 3, "4711")
    assert (options.grpo_steps, options.grpo_questions, options.grpo_answers, options.answer_tokens) == (3, 2, 4, 9)
    assert (options.grpo_learning_rate, options.grpo_temperature, options.grpo_beta) == (0.5, 0.7, 0.1)


def test_the_defaults_of_the_settings_are_those_of_the_command_line(settings: Settings) -> None:
    files = ["--examples=a", "--base=b", "--out=c", "--json-progress", f"--max-lora-rank={settings.serving.max_lora_rank}"]
    asked = vars(parse_options(FineTuneRequest.of(settings, Path("a"), "b", Path("c")).arguments()))
    paths = ("examples", "out")
    bare = {name: value for name, value in vars(parse_options(files)).items() if name not in paths}
    assert {name: value for name, value in asked.items() if name not in paths} == bare


def test_several_processes_are_started_by_torchrun(settings: Settings) -> None:
    training = settings.training.model_copy(update={"processes": 2})
    request = FineTuneRequest.of(settings.model_copy(update={"training": training}), Path("a"), "b", Path("c"))
    assert request.command()[:5] == [TORCHRUN, "--standalone", "--nproc-per-node=2", "-m", "runtimes.fine_tune"]
    assert request.command()[5:] == request.arguments()


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
    assert "training.gradient_accumulation" in str(output.failure("the training job"))


def test_a_named_cause_is_found_before_any_number_of_other_lines() -> None:
    output = JobOutput(silent)
    output.take("error: --rank is 32, above the 16 that vLLM accepts\n")
    for number in range(100):
        output.take(f"E torch/distributed/elastic line {number}")
    assert str(output.failure("the job")) == "the job failed: --rank is 32, above the 16 that vLLM accepts"


def test_a_job_without_a_named_cause_shows_its_last_lines() -> None:
    output = JobOutput(silent)
    for number in range(40):
        output.take(f"line {number}")
    assert str(output.failure("the job")).endswith("line 35 | line 36 | line 37 | line 38 | line 39")
    assert "printed nothing" in str(JobOutput(silent).failure("the job"))


def test_a_job_that_left_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="left no result"):
        FineTuneResult.read(tmp_path)
