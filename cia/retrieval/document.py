"""What is indexed of a chunk: its terms by field, and the text that an embedding model reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cia.chunking.chunk import Chunk
from cia.retrieval.tokens import terms, words

MODEL_TEXT_CHARACTERS = 2000
"""Embedding models read about 256 tokens; more would be cut off there anyway."""


@dataclass(frozen=True, slots=True)
class Document:
    """The fields of one chunk. ``body`` counts every term of its lines; the other fields repeat what matters more."""

    body: Counter[str]
    name: tuple[str, ...]
    scope: tuple[str, ...]
    path: tuple[str, ...]
    signature: tuple[str, ...]
    docstring: tuple[str, ...]


def document_of(chunk: Chunk) -> Document:
    """Return the fields of ``chunk``."""
    return Document(
        body=Counter(terms(chunk.text)),
        name=name_terms(chunk.symbol),
        scope=words(chunk.symbol.rpartition(".")[0]),
        path=words(chunk.file_path),
        signature=tuple(terms(chunk.signature)),
        docstring=tuple(terms(chunk.docstring)),
    )


def name_terms(symbol: str) -> tuple[str, ...]:
    """Return the words of the last part of a qualified name, then the part itself if it has several."""
    name = symbol.rpartition(".")[2]
    parts = words(name)
    return (*parts, name.lower()) if len(parts) > 1 else parts


def model_text(payload: Mapping[str, Any]) -> str:
    """Return what a sentence embedding model is given of a stored chunk: where it is, what it is called, then its lines."""
    place = " ".join(words(payload["file_path"].rpartition(".")[0]))
    return f"{place} {' '.join(words(payload['symbol']))}\n{payload['text']}"[:MODEL_TEXT_CHARACTERS]
