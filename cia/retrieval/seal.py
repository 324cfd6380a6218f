"""Which files a finished generation has and how long each is, so that a loss is noticed before anything is read.

The engine does not notice: without its file of ids a shard opens as an empty one, and a short file can end the process. A
file that was altered at the same length shows only when the engine stumbles over it; whoever sees that ``mark_damaged``s the
generation, and the next run of the indexer makes it anew.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

SEAL = "files.json"
DAMAGED = "damaged"
REWRITTEN = ("edge_config.json", "segment.json")
"""The engine writes these anew whenever it loads or closes a shard, not always at the same length; it cannot load without them
or with half of one, so their presence is enough."""
JOURNAL = "_journal.dat"
"""The first to load a shard works these into the files beside them and removes them."""


def seal(directory: Path) -> None:
    """Write down the files below ``directory``; nothing may be written there afterwards."""
    (directory / SEAL).write_text(json.dumps(dict(_sizes(directory)), indent=0), encoding="utf-8")


def check(directory: Path) -> None:
    """Raise ValueError or OSError when ``directory`` is not exactly as it was sealed; costs one stat(2) a file."""
    sizes = json.loads((directory / SEAL).read_text(encoding="utf-8"))
    for name, size in sizes.items():
        if (directory / name).stat().st_size != size and not name.endswith(REWRITTEN):
            raise ValueError(f"{name} is not {size} bytes long")
    if (directory / DAMAGED).exists():
        raise ValueError("a search failed on it")


def mark_damaged(directory: Path) -> None:
    """Let no later ``check`` of ``directory`` pass."""
    with contextlib.suppress(OSError):
        (directory / DAMAGED).touch()


def _sizes(directory: Path) -> Iterator[tuple[str, int]]:
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            if not name.endswith(JOURNAL):
                path = Path(folder) / name
                yield str(path.relative_to(directory)), path.stat().st_size
