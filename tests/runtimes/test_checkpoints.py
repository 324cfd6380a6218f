from __future__ import annotations

from pathlib import Path

from runtimes.checkpoints import forget_other_recipes, newest_checkpoint


def checkpoint(phase: Path, step: int, state: str = "{}") -> Path:
    folder = phase / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(state)
    return folder


def test_the_newest_checkpoint_is_carried_on_with(tmp_path: Path) -> None:
    checkpoint(tmp_path, 8)
    newest = checkpoint(tmp_path, 12)
    assert newest_checkpoint(tmp_path) == newest


def test_a_checkpoint_cut_short_is_removed_for_the_one_before(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path, 8)
    cut_short = checkpoint(tmp_path, 12, '{"global_step": 12, "log_hi')
    assert newest_checkpoint(tmp_path) == whole
    assert not cut_short.exists()
    assert newest_checkpoint(tmp_path / "nothing") is None


def test_a_checkpoint_of_another_recipe_is_forgotten(tmp_path: Path) -> None:
    forget_other_recipes(tmp_path, "one")
    kept = checkpoint(tmp_path / "sft", 2)
    forget_other_recipes(tmp_path, "one")
    assert kept.exists()
    forget_other_recipes(tmp_path, "other")
    assert not kept.exists()
