"""Which base model vLLM loads: the one that is set, the one that adapters were trained on, or the one that they will be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cia.settings import Settings


def model_to_serve(settings: Settings, next_base: Callable[[], str | Path]) -> str:
    """Return ``serving.model``, else the base of the adapter in Production, else of the newest version, else ``next_base()``.

    That is a folder or a hub name. Raises UnavailableError when the registry is away, and what ``next_base`` raises.
    """
    if settings.serving.model is not None:
        return settings.serving.model
    from cia.registry import Registry

    registry = Registry(settings)
    adapter = registry.production() or next(iter(registry.list()), None)
    return adapter.base_model if adapter is not None else str(next_base())
