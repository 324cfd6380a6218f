"""Any OpenAI-compatible embeddings endpoint: vLLM, Text Embeddings Inference, a hosted one."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from cia.errors import OperationError, SettingsError, UnavailableError
from cia.retrieval.document import Document
from cia.settings import IndexSettings

TEXTS_A_REQUEST = 64
TIMEOUT_SECONDS = 60.0
BUSY = frozenset({429, 502, 503, 504})
LONGEST_WAIT_SECONDS = 20.0
"""A busy endpoint that wants to be left alone for longer is reported; for less, one more try is made."""


class EndpointEmbedder:
    """The model ``name`` at ``index.embedding_url``. Raises SettingsError without one; asks nothing before it must."""

    immediate = False

    def __init__(self, name: str, settings: IndexSettings) -> None:
        if not settings.embedding_url:
            raise SettingsError(f"index.embedding_model is openai:{name}; set index.embedding_url to the endpoint, ending in /v1")
        key = os.environ.get(settings.embedding_api_key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx.Client(base_url=settings.embedding_url, headers=headers, timeout=TIMEOUT_SECONDS)
        except httpx.InvalidURL as error:
            raise SettingsError(f"index.embedding_url is {settings.embedding_url!r}: {error}") from None
        self._url = settings.embedding_url
        self._key_variable = settings.embedding_api_key_variable
        self._model = name
        self.name = f"openai:{name}"

    @cached_property
    def dimensions(self) -> int:
        """How long its vectors are, which only a vector tells. Raises UnavailableError when the endpoint is away."""
        return int(self._request(["dimensions"]).shape[1])

    def embed_chunks(self, documents: Sequence[Document], texts: Sequence[str]) -> NDArray[np.float32]:  # noqa: ARG002
        """Return one unit vector a text. Raises UnavailableError or OperationError, which name the endpoint."""
        parts = [self._request(texts[start : start + TEXTS_A_REQUEST]) for start in range(0, len(texts), TEXTS_A_REQUEST)]
        if any(part.shape[1] != self.dimensions for part in parts):
            raise OperationError(f"the embeddings endpoint {self._url} gave vectors of {self._model} of unequal lengths")
        vectors = np.concatenate([np.empty((0, self.dimensions), np.float32), *parts])
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question."""
        vector = self._request((text,))[0]
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)

    def _request(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text, as the endpoint gives them."""
        response = self._answer(texts)
        try:
            data: list[dict[str, Any]] = response.json()["data"]
            rows = [entry["embedding"] for entry in sorted(data, key=lambda entry: entry["index"])]
            vectors = np.asarray(rows, np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise self._useless(" ".join(str(error).split())[:200]) from error
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise self._useless(f"{len(rows)} of them for {len(texts)} texts, or not all numbers")
        return vectors

    def _answer(self, texts: Sequence[str], tries: int = 2) -> httpx.Response:
        try:
            response = self._client.post("embeddings", json={"model": self._model, "input": list(texts)})
        except httpx.TransportError as error:
            raise UnavailableError(
                f"no embeddings endpoint answers at {self._url} ({type(error).__name__}); start it, or try again"
            ) from error
        if response.status_code in BUSY:
            wait = _seconds(response.headers.get("Retry-After"))
            if tries > 1 and wait <= LONGEST_WAIT_SECONDS:
                time.sleep(wait)
                return self._answer(texts, tries - 1)
            raise UnavailableError(
                f"the embeddings endpoint {self._url} is busy (status {response.status_code}); try again in {wait:.0f} s"
            )
        if response.status_code in (401, 403):
            raise OperationError(
                f"the embeddings endpoint {self._url} refuses the key (status {response.status_code});"
                f" put the right one into {self._key_variable}"
            )
        if not response.is_success:
            raise self._useless(f"status {response.status_code}, {' '.join(response.text.split())[:150]}")
        return response

    def _useless(self, reason: str) -> OperationError:
        return OperationError(f"the embeddings endpoint {self._url} gave no vectors of {self._model}: {reason}")


def _seconds(retry_after: str | None) -> float:
    """What a Retry-After header asks for; one second when it is none or a date."""
    try:
        return max(0.0, float(retry_after or 1))
    except ValueError:
        return 1.0
