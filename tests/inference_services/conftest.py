"""A vLLM that starts in a second and does what it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from cia.settings import Settings
from tests.inference_services.stand_in_vllm import write_model, write_stand_in


@pytest.fixture
def stand_in(settings: Settings, tmp_path: Path) -> Settings:
    """Settings whose vLLM interpreter is the stand-in, on a free port."""
    interpreter = write_stand_in(tmp_path / "python")
    serving = settings.serving.model_copy(update={"vllm_python": str(interpreter), "port": 0, "start_timeout_seconds": 60.0})
    settings.home.mkdir()
    return settings.model_copy(update={"serving": serving})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a model."""
    return write_model(tmp_path / "model")
