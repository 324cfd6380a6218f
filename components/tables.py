"""What steps write for people and for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from cia.corpus import Snapshot


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; vertical bars inside cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def manifest_json(snapshot: Snapshot) -> str:
    """Return the files of a snapshot with their SHA-256 as stable JSON."""
    files = {file.path: file.blob for file in snapshot.files}
    document = {"repo": snapshot.repo, "commit": snapshot.commit, "source": snapshot.source, "files": files}
    return json.dumps(document | {"skipped": snapshot.skipped}, indent=1, sort_keys=True) + "\n"
