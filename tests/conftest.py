"""What every test needs: settings with a home of their own, and an environment without the developer's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cia.settings import Settings, load_settings

os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "YES"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("CIA_", "LANGFUSE_", "MLFLOW_", "QDRANT_")):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with a home that only this test uses."""
    return load_settings(environment={"CIA_HOME": str(tmp_path / "home")})
