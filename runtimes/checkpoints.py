"""What a killed training carries on from: the checkpoints of its present phase, and the phases that are done.

A training folder has ``checkpoints/recipe.sha256``, which says what it is a training of, and for each phase (``sft``, ``grpo``) a
folder with the trainer's checkpoints and, once the phase is done, ``done/`` with its adapter and its history.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cia.durable_files import remove_unfinished, replace_directory, replace_text

MARKER = "recipe.sha256"


@dataclass(frozen=True)
class Phase:
    """What a phase did. ``history`` is the trainer's log; ``tokens`` and ``seconds`` are those since it was last started."""

    name: str
    history: list[dict[str, float]] = field(default_factory=list)
    resumed_from: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_step: int = 0


def forget_other_recipes(directory: Path, identity: str) -> None:
    """Remove what is below ``directory`` unless it belongs to the recipe ``identity``."""
    marker = directory / MARKER
    if not marker.exists() or marker.read_text(encoding="utf-8") != identity:
        shutil.rmtree(directory, ignore_errors=True)
        replace_text(marker, identity)


def newest_checkpoint(phase: Path) -> Path | None:
    """Return the newest whole checkpoint of a phase; remove those that a kill cut short."""
    newest_first = sorted(phase.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in newest_first:
        if _is_whole(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint, ignore_errors=True)
    return None


def finish_phase(folder: Path, phase: Phase, model: Any) -> None:
    """Keep the adapter and the history of a phase that is done, and drop its checkpoints."""
    remove_unfinished(folder)
    with replace_directory(folder / "done") as staging:
        model.save_pretrained(staging)
        (staging / "phase.json").write_text(json.dumps(asdict(phase)), encoding="utf-8")
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint, ignore_errors=True)


def finished_phase(folder: Path) -> tuple[Phase, Path] | None:
    """Return a phase that is done and its adapter's folder, None when it is not."""
    done = folder / "done"
    if not (done / "phase.json").exists():
        return None
    return Phase(**json.loads((done / "phase.json").read_text(encoding="utf-8"))), done


def _is_whole(checkpoint: Path) -> bool:
    # transformers writes trainer_state.json last, so a checkpoint in which it parses has everything else.
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
