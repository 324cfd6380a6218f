"""Dense vectors: several models behind one small interface."""

from cia.retrieval.embedding.embedder import Embedder, open_embedder

__all__ = ["Embedder", "open_embedder"]
