"""`cia demo` from where its pipeline ends: it serves by `cia serve --with-vllm`, asks, and leaves nothing running."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from cia.retrieval import Indexer
from cia.settings import load_settings
from cli import demo
from cli.main import run
from tests.inference_services.stand_in_vllm import engines, is_alive, write_model, write_stand_in


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an index, in which no pipeline has to run, and a vLLM that starts in a second."""
    variables = {
        "CIA_HOME": tmp_path / "home",
        "CIA_SERVING__VLLM_PYTHON": write_stand_in(tmp_path / "python"),
        "CIA_SERVING__MODEL": write_model(tmp_path / "model"),
        "CIA_SERVING__START_TIMEOUT_SECONDS": 60,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    (tmp_path / "lantern").mkdir()
    (tmp_path / "lantern" / "wick.py").write_text('def trim() -> None:\n    """Trim the wick of the lantern."""\n')
    Indexer(load_settings()).index(str(tmp_path / "lantern"))
    monkeypatch.setattr(demo, "_run_pipeline", lambda settings: "the candidate was refused")
    return tmp_path / "home"


def test_it_serves_asks_and_shows_the_administrators_key_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = psutil.Process().children()
    assert run(["demo"]) == 0
    shown = capsys.readouterr().out
    assert "vLLM is ready after" in shown
    assert shown.count("\n   ? ") == 3
    assert "shown this once: cia_" in shown
    assert "/#key=cia_" in shown
    assert run(["demo"]) == 0
    assert "shown this once" not in capsys.readouterr().out
    assert not any(map(is_alive, engines(home)))
    left = set(psutil.Process().children()) - set(before)
    assert not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]


def test_a_vllm_that_does_not_start_is_said_in_its_own_words(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "no memory left")
    assert run(["demo"]) == 1
    assert "RuntimeError: no memory left" in capsys.readouterr().err
