"""Which base model vLLM loads: the one that is set, or the one that the registered adapters were trained on."""

from __future__ import annotations

from cia.errors import OperationError
from cia.settings import Settings


def model_to_serve(settings: Settings) -> str:
    """Return ``serving.model``, else the base of the adapter in Production, else of the newest version: a folder or hub name.

    Raises OperationError when there is none, UnavailableError when the registry that would know is away.
    """
    if settings.serving.model is not None:
        return settings.serving.model
    from cia.registry import Registry

    registry = Registry(settings)
    adapter = registry.production() or next(iter(registry.list()), None)
    if adapter is None:
        raise OperationError("there is no model to serve yet; `cia pipeline run` makes one, or set serving.model to a folder")
    return adapter.base_model
