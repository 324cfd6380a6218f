from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cia.errors import OperationError
from runtimes.ending import TERMINATED, memory_errors
from runtimes.training_options import parse_options

ROOM = 2**30
"""Address space that is left after the start; the batches of the test need more."""


def options(*more: str) -> list[str]:
    return ["--examples=a", "--base=b", "--out=c", *more]


CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError(CUDA), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9")]
)
def test_want_of_memory_names_the_settings_to_change(error: Exception) -> None:
    advice = r"training\.gradient_accumulation.*training\.quantization to nf4"
    with pytest.raises(OperationError, match=advice), memory_errors(parse_options(options())):
        raise error


def test_what_is_set_already_is_not_advised() -> None:
    chosen = parse_options(options("--quantization=nf4", "--gradient-checkpointing=on", "--method=sft+grpo"))
    with pytest.raises(OperationError) as caught, memory_errors(chosen):
        raise MemoryError
    assert "nf4" not in str(caught.value)
    assert "gradient_checkpointing" not in str(caught.value)
    assert "training.grpo.answers" in str(caught.value)


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_errors(parse_options(options())):
        raise RuntimeError("shapes do not match")


@pytest.mark.slow
def test_a_training_that_runs_out_of_memory_says_what_to_change(base: Path, choices: Path, tmp_path: Path) -> None:
    limited = (
        "import resource, sys; from runtimes import fine_tune as story\n"
        "def report(stage, done, total, **numbers):\n"
        "    if stage != 'loading the base model': return\n"
        "    import torch, trl, peft, datasets\n"
        "    used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"    resource.setrlimit(resource.RLIMIT_AS, (used + {ROOM}, -1))\n"
        "story.report_as_text = report\n"
        "sys.exit(story.main(sys.argv[1:]))"
    )
    wanting = ["--batch-size=512", "--gradient-accumulation=1", "--gradient-checkpointing=off"]
    rows = [json.loads(line) for line in choices.read_text().splitlines()] * 20
    many = tmp_path / "many.jsonl"
    many.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    files = [f"--examples={many}", f"--base={base}", f"--out={tmp_path / 'out'}", "--steps=1", "--held-out=0", "--samples=0"]
    ended = subprocess.run(
        [sys.executable, "-c", limited, *files, *wanting],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 1
    assert "error: the memory does not hold this training; raise training.gradient_accumulation" in ended.stderr
    assert not (tmp_path / "out/adapter").exists()


def test_a_training_told_to_stop_ends_its_mlflow_run_as_killed(base: Path, choices: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    client.create_experiment("code-assistant", str(tmp_path / "files"))
    files = [f"--examples={choices}", f"--base={base}", f"--out={tmp_path / 'out'}", f"--mlflow-uri={uri}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "runtimes.fine_tune", *files, "--steps=5000", "--batch-size=2", "--samples=0", "--json-progress"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    next(line for line in process.stdout if '"training"' in line)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == TERMINATED
    [experiment] = [found.experiment_id for found in client.search_experiments() if found.name == "code-assistant"]
    assert [run.info.status for run in client.search_runs([experiment])] == ["KILLED"]


def test_the_limit_of_this_process_is_untouched() -> None:
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
