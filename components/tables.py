"""What steps write for people and for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cia.corpus import Snapshot
from cia.durable_files import replace_text

if TYPE_CHECKING:
    from kfp.dsl import Metrics


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; vertical bars inside cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def record_metrics(metrics: Metrics, values: Mapping[str, float]) -> None:
    """Log ``values`` to the artifact and write them to its file.

    KFP itself keeps metrics as metadata only, and kfp.local takes a cached result whose file is missing for a lost one.
    """
    for name, value in values.items():
        metrics.log_metric(name, value)
    replace_text(Path(metrics.path), json.dumps(dict(values), indent=1, sort_keys=True) + "\n")


def manifest_json(snapshot: Snapshot) -> str:
    """Return the files of a snapshot with their SHA-256 as stable JSON."""
    files = {file.path: file.blob for file in snapshot.files}
    document = {"repo": snapshot.repo, "commit": snapshot.commit, "source": snapshot.source, "files": files}
    return json.dumps(document | {"skipped": snapshot.skipped}, indent=1, sort_keys=True) + "\n"
