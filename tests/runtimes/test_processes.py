from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cia.adapter import check_adapter
from runtimes.fine_tune import fine_tune
from runtimes.processes import Processes
from runtimes.processor import limit_threads
from runtimes.train_job import TORCHRUN
from runtimes.training_options import parse_options

SHORT = ["--steps=3", "--batch-size=4", "--rank=4", "--max-tokens=128", "--held-out=0", "--samples=1", "--precision=float32"]

SHOWS_ITS_ADAPTER = """
import hashlib, sys
from runtimes import fine_tune as story
def imitate(place, model, *rest):
    from runtimes.supervised import imitate
    phase = imitate(place, model, *rest)
    weights = b"".join(p.detach().numpy().tobytes() for p in model.parameters() if p.requires_grad)
    sys.stdout.write(f"adapter of {place.processes.rank}: {hashlib.sha256(weights).hexdigest()}\\n")
    return phase
story.imitate = imitate
sys.exit(story.main(sys.argv[1:]))
"""


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Processes.of_environment() == Processes(0, 0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert not Processes.of_environment().first


@pytest.mark.slow
def test_two_processes_train_one_adapter_and_one_of_them_writes(base: Path, choices: Path, tmp_path: Path) -> None:
    script = tmp_path / "shows_its_adapter.py"
    script.write_text(SHOWS_ITS_ADAPTER)
    out = tmp_path / "out"
    arguments = [f"--examples={choices}", f"--base={base}", f"--out={out}", *SHORT]
    ended = subprocess.run(
        [sys.executable, "-m", TORCHRUN, "--standalone", "--nproc-per-node=2", str(script), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    shown = dict(line.split(": ") for line in ended.stdout.splitlines() if line.startswith("adapter of"))
    assert shown.keys() == {"adapter of 0", "adapter of 1"}
    assert len(set(shown.values())) == 1
    check_adapter(out / "adapter", base, max_rank=16)
    assert ended.stdout.count("training 3/3") == 1
    assert sorted(path.name for path in out.iterdir()) == [".lock", "adapter", "training.json"]

    alone = tmp_path / "alone"
    limit_threads()
    fine_tune(parse_options([*arguments[:2], f"--out={alone}", *SHORT]), lambda *_, **__: None)
    losses = [json.loads((folder / "training.json").read_text())["losses"] for folder in (out, alone)]
    assert losses[0] == pytest.approx(losses[1], abs=5e-3)  # the same four examples a step, in two halves, in bfloat16
