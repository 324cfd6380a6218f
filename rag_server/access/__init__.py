"""Who may ask, and what they may read."""

from rag_server.access.principal import Principal

__all__ = ["Principal"]
