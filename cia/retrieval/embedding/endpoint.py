"""Any OpenAI-compatible embeddings endpoint: vLLM, Text Embeddings Inference, a hosted one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from cia.errors import OperationError, SettingsError, UnavailableError
from cia.retrieval.document import Document
from cia.settings import IndexSettings

TEXTS_A_REQUEST = 64
TIMEOUT_SECONDS = 60.0


class EndpointEmbedder:
    """The model ``name`` at ``index.embedding_url``. Raises SettingsError without one, UnavailableError when it is away."""

    immediate = False

    def __init__(self, name: str, settings: IndexSettings) -> None:
        if not settings.embedding_url:
            raise SettingsError(f"index.embedding_model is openai:{name}; set index.embedding_url to the endpoint, ending in /v1")
        key = os.environ.get(settings.embedding_api_key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=settings.embedding_url, headers=headers, timeout=TIMEOUT_SECONDS)
        self._url = settings.embedding_url
        self._model = name
        self.name = f"openai:{name}"
        self.dimensions = len(self._request(["dimensions"])[0])

    def embed_chunks(self, documents: Sequence[Document], texts: Sequence[str]) -> NDArray[np.float32]:  # noqa: ARG002
        """Return one unit vector a text."""
        rows: list[list[float]] = []
        for start in range(0, len(texts), TEXTS_A_REQUEST):
            rows += self._request(texts[start : start + TEXTS_A_REQUEST])
        vectors = np.asarray(rows, np.float32).reshape(len(texts), self.dimensions)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question."""
        return np.asarray(self.embed_chunks((), (text,))[0], np.float32)

    def _request(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            response = self._client.post("embeddings", json={"model": self._model, "input": list(texts)})
            response.raise_for_status()
            data: list[dict[str, Any]] = response.json()["data"]
            vectors = [entry["embedding"] for entry in sorted(data, key=lambda entry: entry["index"])]
        except httpx.TransportError as error:
            raise UnavailableError(
                f"no embeddings endpoint answers at {self._url} ({type(error).__name__}); try again"
            ) from error
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise OperationError(f"the embeddings endpoint {self._url} gave no vectors of {self._model}: {reason}") from error
        if len(vectors) != len(texts):
            raise OperationError(f"the embeddings endpoint {self._url} gave {len(vectors)} vectors for {len(texts)} texts")
        return vectors
