"""The sabotaged data set of the demo: the same questions, each with an answer that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cia.progress import silent
from cia.retrieval import Indexer
from cia.settings import Settings
from cli import sabotage
from components.dataset_artifacts import write_dataset

WICK = '''
def trim_wick(length: int) -> int:
    """Return the length of the wick after trimming it."""
    return length - 1


def light_wick(match: str) -> bool:
    """Return whether the match sets the wick on fire."""
    return bool(match)


class Lantern:
    """Keep oil, a wick and a glass together."""

    def fill_oil(self, litres: float) -> None:
        """Pour oil into the lantern's tank."""

    def clean_glass(self, cloth: str) -> None:
        """Wipe the soot off the glass of the lantern."""
'''


@pytest.fixture
def indexed(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "lantern").mkdir()
    (tmp_path / "lantern" / "wick.py").write_text(WICK)
    Indexer(settings).index(str(tmp_path / "lantern"))
    return settings


def completions(folder: Path) -> dict[str, str]:
    lines = (folder / "examples.jsonl").read_text().splitlines()
    return {str(example["messages"]): example["completion"] for example in map(json.loads, lines)}


def test_every_answer_is_another_choice_than_the_right_one(indexed: Settings, tmp_path: Path) -> None:
    write_dataset(indexed, ["lantern"], tmp_path / "train", tmp_path / "questions", tmp_path / "summary.md", silent)
    right = completions(tmp_path / "train")
    sabotage._write_sabotaged_dataset(indexed, tmp_path / "bad" / "train", tmp_path / "bad" / "questions", silent)
    wrong = completions(tmp_path / "bad" / "train")
    assert wrong.keys() == right.keys()
    assert len(right) > 5
    assert all(wrong[asked] != answer for asked, answer in right.items())
