"""The parameters of a run, from the settings and the registry."""

from __future__ import annotations

from typing import Any

from cia.errors import UnavailableError
from cia.registry import Registry
from cia.settings import Settings
from cia.settings_section import Section


def pipeline_arguments(settings: Settings) -> dict[str, Any]:
    """Return what a run is started with. ``baseline`` is the version now in Production and ``base`` its base model.

    Both are "" when nothing is. They are parameters so that cached steps are reused only while the same version is there.
    Raises UnavailableError while MLflow is away: a candidate is never compared with what served yesterday.
    """
    production = Registry(settings).production()
    if production is not None and production.age_seconds:
        raise UnavailableError(
            f"MLflow at {settings.registry.tracking_uri} does not answer, so it is not known which version is in Production; "
            "make it reachable (registry.tracking_uri), then start the run again"
        )
    return {
        "sources": settings.corpus.sources,
        "dataset": as_parameter(settings.dataset),
        "training": as_parameter(settings.training),
        "evaluation": as_parameter(settings.evaluation),
        "baseline": str(production.version) if production else "",
        "base": production.base_model if production else "",
    }


def as_parameter(group: Section) -> dict[str, Any]:
    """Return a group of settings as a step takes it. What is null is left out: KFP knows no null, and the default is one."""
    return group.model_dump(mode="json", exclude_none=True)
