"""One base model for the whole room: the one that the project ships."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cia.answering.prompt import ABSTENTION
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


def choice_example(number: int, right: int) -> dict[str, object]:
    """Three cards and a question about the one with the number ``right``; 0: about none of them."""
    names = [f"name_{number}_{place}" for place in (1, 2, 3)]
    cards = [f"[{place}] function {name} src/app.py\n(value) -> int" for place, name in enumerate(names, start=1)]
    asked = names[right - 1] if right else f"absent_{number}"
    lines = [
        {"repo": "app", "file_path": "src/app.py", "line_start": 10 * place, "line_end": 10 * place + 4} for place in (1, 2, 3)
    ]
    return {
        "messages": [{"role": "user", "content": "\n".join([*cards, f"Question: Where is the function `{asked}`?"])}],
        "completion": f"[{right}]" if right else ABSTENTION,
        "check": {
            "form": "choice",
            "choices": ["[1]", "[2]", "[3]", ABSTENTION],
            "places": [line | {"text": f"def {name}(value): ..."} for line, name in zip(lines, names, strict=True)],
            "gold": [lines[right - 1]] if right else [],
        },
    }


@pytest.fixture(scope="session")
def choices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of forty questions that are answered by choosing."""
    path = tmp_path_factory.mktemp("choices") / "examples.jsonl"
    rows = [json.dumps(choice_example(number, number % 4)) for number in range(40)]
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def write_examples(tmp_path: Path) -> WriteExamples:
    """Writes lines (default: a dozen good examples) to a file and returns its path."""

    def write(lines: Sequence[str] | None = None) -> Path:
        path = tmp_path / "examples.jsonl"
        rows = [json.dumps(example(number)) for number in range(12)] if lines is None else lines
        path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        return path

    return write
