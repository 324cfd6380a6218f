"""Which models can make the dense vectors, and how one is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cia.errors import SettingsError
from cia.retrieval.document import Document
from cia.settings import IndexSettings


class Embedder(Protocol):
    """Turns chunks and questions into unit vectors of one space.

    ``name`` identifies the model and its version: vectors of two names are never compared. ``immediate`` says that a whole
    repository takes seconds; the vectors of other models are added after its text can already be searched.
    """

    name: str
    immediate: bool

    @property
    def dimensions(self) -> int:
        """How long its vectors are."""

    def embed_chunks(self, documents: Sequence[Document], texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a chunk, shape (n, dimensions), from its fields or its text."""

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question; all zeros when the model knows none of its words."""


def open_embedder(settings: IndexSettings) -> Embedder:
    """Return the embedder that ``embedding_model`` names. Raises SettingsError that lists the choices."""
    kind, _, name = settings.embedding_model.partition(":")
    if kind == "static" and not name:
        from cia.retrieval.embedding.static import StaticEmbedder

        return StaticEmbedder()
    if kind == "minilm" and not name:
        from cia.retrieval.embedding.sentence import minilm

        return minilm()
    if kind == "sentence-transformers" and name:
        from cia.retrieval.embedding.sentence import SentenceEmbedder

        return SentenceEmbedder(name, settings.embedding_model)
    if kind == "openai" and name:
        from cia.retrieval.embedding.endpoint import EndpointEmbedder

        return EndpointEmbedder(name, settings)
    raise SettingsError(
        f"index.embedding_model is {settings.embedding_model!r}; allowed: static, minilm, sentence-transformers:NAME,"
        " openai:MODEL"
    )
