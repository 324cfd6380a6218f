"""Chooses where vectors lie, once."""

from __future__ import annotations

from cia.retrieval.store import Store
from cia.settings import Settings


def open_store(settings: Settings) -> Store:
    """Return the Qdrant server's store when ``index.qdrant_url`` is set, else the embedded one under ``home/index``."""
    if settings.index.qdrant_url is not None:
        from cia.retrieval.store_server import ServerStore

        return ServerStore(settings)
    from cia.retrieval.store_edge import EdgeStore

    return EdgeStore(settings.home / "index")
