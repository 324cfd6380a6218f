"""The parameters of a run, from the settings and the registry."""

from __future__ import annotations

from typing import Any

from cia.registry import Registry
from cia.settings import Settings


def pipeline_arguments(settings: Settings) -> dict[str, Any]:
    """Return what a run is started with. ``baseline`` is the version now in Production and ``base`` its base model.

    Both are "" when nothing is. They are parameters so that cached steps are reused only while the same version is there.
    """
    production = Registry(settings).production()
    return {
        "sources": settings.corpus.sources,
        "dataset": settings.dataset.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json"),
        "evaluation": settings.evaluation.model_dump(mode="json"),
        "baseline": str(production.version) if production else "",
        "base": production.base_model if production else "",
    }
