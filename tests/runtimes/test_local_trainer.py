from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cia.adapter import check_adapter
from cia.errors import OperationError
from cia.settings import Settings
from runtimes.local_trainer import LocalTrainer
from runtimes.train_job import FineTuneRequest

WriteExamples = Callable[..., Path]


@pytest.fixture
def job_settings(settings: Settings, tiny_settings: Settings) -> Settings:
    return settings.model_copy(update={"training": tiny_settings.training})


def leftovers(settings: Settings) -> list[str]:
    return [path.name for path in (settings.home / "training-jobs").iterdir() if path.name != ".lock"]


@pytest.mark.slow
def test_a_job_gives_its_adapter_its_figures_and_its_progress(
    job_settings: Settings, base: Path, write_examples: WriteExamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int, int]] = []
    monkeypatch.chdir(tmp_path)
    request = FineTuneRequest.of(job_settings, write_examples(), str(base), Path("out"))
    result = LocalTrainer(job_settings).run(request, lambda *event: seen.append(event))
    assert check_adapter(result.adapter, base, max_rank=16).rank == job_settings.training.rank
    assert len(result.losses) == job_settings.training.steps
    assert [done for stage, done, _ in seen if stage == "training"] == [1, 2, 3, 4, 5, 6]
    assert Path.cwd() == tmp_path
    assert leftovers(job_settings) == []


def test_a_failed_job_raises_with_its_cause_and_leaves_nothing(
    job_settings: Settings, base: Path, write_examples: WriteExamples, tmp_path: Path
) -> None:
    before = set(os.listdir("/tmp"))
    request = FineTuneRequest.of(job_settings, write_examples(["{broken"]), str(base), tmp_path / "out")
    with pytest.raises(OperationError, match="line 1 is not"):
        LocalTrainer(job_settings).run(request)
    assert leftovers(job_settings) == []
    assert not (tmp_path / "out").exists()
    assert not [name for name in set(os.listdir("/tmp")) - before if (Path("/tmp") / name / "pyvenv.cfg").exists()]


def test_a_job_that_takes_too_long_is_stopped(
    job_settings: Settings, base: Path, write_examples: WriteExamples, tmp_path: Path
) -> None:
    endless = job_settings.training.model_copy(update={"timeout_seconds": 2, "steps": 100_000})
    hurried = job_settings.model_copy(update={"training": endless})
    request = FineTuneRequest.of(hurried, write_examples(), str(base), tmp_path / "out")
    with pytest.raises(OperationError, match=r"raise training\.timeout_seconds"):
        LocalTrainer(hurried).run(request)
    assert leftovers(hurried) == []
