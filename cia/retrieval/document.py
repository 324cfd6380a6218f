"""What is indexed of a chunk: its terms by field, and the text that an embedding model reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cia.chunking.chunk import Chunk
from cia.retrieval.tokens import ids_in, term_ids, words

MODEL_TEXT_CHARACTERS = 2000
"""Embedding models read about 256 tokens; more would be cut off there anyway."""


FIELDS = ("name", "scope", "path", "signature", "docstring")
"""What is said of a chunk besides its lines."""


@dataclass(frozen=True, slots=True)
class Document:
    """The term ids of one chunk. ``body`` counts those of its lines; the ``FIELDS`` repeat what matters more."""

    body: Counter[int]
    name: tuple[int, ...]
    scope: tuple[int, ...]
    path: tuple[int, ...]
    signature: tuple[int, ...]
    docstring: tuple[int, ...]


def document_of(chunk: Chunk) -> Document:
    """Return the fields of ``chunk``."""
    return Document(
        body=Counter(ids_in(chunk.text)),
        name=tuple(term_ids(name_terms(chunk.symbol))),
        scope=_word_ids(chunk.symbol.rpartition(".")[0]),
        path=_word_ids(chunk.file_path),
        signature=tuple(ids_in(chunk.signature)),
        docstring=tuple(ids_in(chunk.docstring)),
    )


@lru_cache(maxsize=1 << 14)
def _word_ids(identifier: str) -> tuple[int, ...]:
    return tuple(term_ids(words(identifier)))


class Postings:
    """The bodies of several documents, or what one field says in them, end to end: ``ids`` with what belongs to each.

    ``owners`` says in which document an id occurs, ``counts`` how often: array operations then take the place of loops.
    """

    def __init__(self, ids: NDArray[np.int64], owners: NDArray[np.intp], counts: NDArray[np.int64]) -> None:
        self.ids = ids
        self.owners = owners
        self.counts = counts

    @classmethod
    def of_bodies(cls, bodies: Sequence[Mapping[int, int]]) -> Postings:
        """Return the terms of each body, each once, in the order in which they first occur."""
        owners = np.repeat(np.arange(len(bodies)), [len(body) for body in bodies])
        ids = np.fromiter(chain.from_iterable(bodies), np.int64, len(owners))
        counts = np.fromiter(chain.from_iterable(body.values() for body in bodies), np.int64, len(owners))
        return cls(ids, owners, counts)

    @classmethod
    def of_fields(cls, fields: Sequence[Collection[int]]) -> Postings:
        """Return the terms of one field of each document, counted once for each time they are in it."""
        owners = np.repeat(np.arange(len(fields)), [len(field) for field in fields])
        return cls(np.fromiter(chain.from_iterable(fields), np.int64, len(owners)), owners, np.ones(len(owners), np.int64))


def name_terms(symbol: str) -> tuple[str, ...]:
    """Return the words of the last part of a qualified name, then the part itself if it has several."""
    name = symbol.rpartition(".")[2]
    parts = words(name)
    return (*parts, name.lower()) if len(parts) > 1 else parts


def model_text(payload: Mapping[str, Any]) -> str:
    """Return what a sentence embedding model is given of a stored chunk: where it is, what it is called, then its lines."""
    place = " ".join(words(payload["file_path"].rpartition(".")[0]))
    return f"{place} {' '.join(words(payload['symbol']))}\n{payload['text']}"[:MODEL_TEXT_CHARACTERS]
