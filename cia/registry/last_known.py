"""The adapter last seen in Production, kept for the time when MLflow is away."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from cia.durable_files import replace_text
from cia.registry.registered_adapter import RegisteredAdapter

REFRESH_SECONDS = 60.0
"""An unchanged adapter is written again after this, so that its age means something without a write for every look."""


class LastKnown:
    """``production.json``: the adapter and when it was seen."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def remember(self, adapter: RegisteredAdapter | None) -> None:
        """Keep ``adapter``; None means that nothing is in Production."""
        known = self.recall()
        if known is not None and known.age_seconds < REFRESH_SECONDS and adapter == replace(known, age_seconds=0.0):
            return
        if adapter is None:
            self._path.unlink(missing_ok=True)
        else:
            replace_text(self._path, json.dumps({"seen": time.time(), "adapter": adapter.as_json()}, indent=1) + "\n")

    def recall(self) -> RegisteredAdapter | None:
        """Return the adapter with its ``age_seconds``, or None when none is known."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            adapter = RegisteredAdapter(**document["adapter"])
            return replace(adapter, age_seconds=max(0.001, time.time() - float(document["seen"])))
        except (OSError, ValueError, KeyError, TypeError):
            return None
