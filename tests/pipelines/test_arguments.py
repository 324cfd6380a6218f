"""What a run is started with."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from cia.errors import UnavailableError
from cia.registry.registered_adapter import RegisteredAdapter
from cia.settings import load_settings
from pipelines.arguments import pipeline_arguments


def test_a_version_that_was_in_production_yesterday_is_no_baseline(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        settings = load_settings(environment={"CIA_HOME": str(tmp_path), "CIA_REGISTRY__TRACKING_URI": address})
        with pytest.raises(UnavailableError, match="MLflow"):
            pipeline_arguments(settings)
        known = RegisteredAdapter("code-assistant", 3, "run", "local", "", "passed", "", {}, in_production=True)
        seen = {"seen": time.time() - 86400, "adapter": known.as_json()}
        (tmp_path / "production.json").write_text(json.dumps(seen))
        with pytest.raises(UnavailableError, match="not known which version is in Production"):
            pipeline_arguments(settings)
