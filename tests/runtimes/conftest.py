"""One base model for the whole room: the one that the project ships."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cia.settings import Settings, TrainingSettings
from runtimes.base_model import install_base

TINY = TrainingSettings(steps=6, batch_size=2, max_tokens=128, checkpoint_steps=2)

WriteExamples = Callable[..., Path]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """The source files of httpx."""
    spec = importlib.util.find_spec("httpx")
    assert spec is not None
    assert spec.origin is not None
    return [path.read_text(encoding="utf-8") for path in sorted(Path(spec.origin).parent.glob("*.py"))[:6]]


@pytest.fixture(scope="session")
def tiny_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a short training, with a home for the session."""
    return Settings(home=tmp_path_factory.mktemp("home"), training=TINY)


@pytest.fixture(scope="session")
def base(tiny_settings: Settings) -> Path:
    """The shipped base model."""
    return install_base(tiny_settings.home / "models")


def example(number: int) -> dict[str, object]:
    """A question about a function, and its answer."""
    question = f"[1] httpx/_models.py:{number}-{number + 3} header_{number}\nQuestion: What does `header_{number}` do?"
    return {"messages": [{"role": "user", "content": question}], "completion": f"It returns header {number} [1]."}


@pytest.fixture
def write_examples(tmp_path: Path) -> WriteExamples:
    """Writes lines (default: a dozen good examples) to a file and returns its path."""

    def write(lines: Sequence[str] | None = None) -> Path:
        path = tmp_path / "examples.jsonl"
        rows = [json.dumps(example(number)) for number in range(12)] if lines is None else lines
        path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        return path

    return write
