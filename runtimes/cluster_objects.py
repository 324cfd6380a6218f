"""Every object of this room for a cluster, in the order in which to apply them."""

from __future__ import annotations

from typing import Any

from cia.settings import Settings
from runtimes.training_runtime import code_assistant_qlora


def cluster_objects(settings: Settings) -> list[dict[str, Any]]:
    """Return what TrainJobs run on, as Kubernetes reads it. The same settings give the same bytes."""
    runtime: dict[str, Any] = code_assistant_qlora(settings).to_dict()
    return [runtime]
