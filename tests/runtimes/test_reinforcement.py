from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cia.adapter import check_adapter
from runtimes.fine_tune import fine_tune
from runtimes.processor import limit_threads
from runtimes.rewards import REWARDS
from runtimes.training_options import parse_options

BOTH = [
    *("--method=sft+grpo", "--steps=3", "--batch-size=4", "--rank=4", "--max-tokens=128", "--samples=2", "--held-out=0"),
    *("--grpo-steps=4", "--grpo-questions=2", "--grpo-answers=2", "--answer-tokens=10", "--checkpoint-steps=1"),
]


def silent(stage: str, done: int, total: int, **numbers: float) -> None:
    """A report that shows nothing."""


def arguments(base: Path, choices: Path, out: Path) -> list[str]:
    return [f"--examples={choices}", f"--base={base}", f"--out={out}", *BOTH]


@pytest.fixture(scope="module")
def rewarded(base: Path, choices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of an unbroken run of both phases."""
    out = tmp_path_factory.mktemp("rewarded") / "out"
    limit_threads()
    fine_tune(parse_options(arguments(base, choices, out)), silent)
    return out


def test_rewards_are_logged_apart_and_the_adapter_is_served(rewarded: Path, base: Path) -> None:
    check_adapter(rewarded / "adapter", base, max_rank=16)
    report = json.loads((rewarded / "training.json").read_text())
    assert len(report["losses"]) == 7
    assert len(report["rewards"]) == 4
    for step in report["rewards"]:
        assert {f"reward_{name}" for name in REWARDS} <= step.keys()
        assert 0 <= step["reward"] <= 1
    assert {"reward_before", "reward_after"} <= report["samples"][0].keys()


@pytest.mark.slow
def test_a_run_killed_while_it_is_rewarded_resumes_there_on_the_same_curve(
    rewarded: Path, base: Path, choices: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "runtimes.fine_tune", *arguments(base, choices, out)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 180
    while not (out / "checkpoints/grpo/checkpoint-1/trainer_state.json").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stages: list[str] = []
    fine_tune(parse_options(arguments(base, choices, out)), lambda stage, *_, **__: stages.append(stage))
    assert "training" not in stages  # the imitation was done, and is not done again
    resumed, unbroken = (json.loads((folder / "training.json").read_text()) for folder in (out, rewarded))
    assert resumed["losses"] == pytest.approx(unbroken["losses"], abs=1e-4)
    assert [step["reward"] for step in resumed["rewards"]] == pytest.approx([step["reward"] for step in unbroken["rewards"]])
