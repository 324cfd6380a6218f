"""What was found, read as code again: its documentation, signature, calls and base classes."""

from __future__ import annotations

import dataclasses
import textwrap
from functools import lru_cache

from cia.chunking import Chunk, chunk_file
from cia.retrieval.result import SearchResult
from cia.settings import ChunkingSettings

CHUNKS_REMEMBERED = 16_384
"""The same places answer many questions, and reading one takes a millisecond."""


def definition_in(result: SearchResult) -> Chunk:
    """Return ``result`` as a chunk, with what its text alone says of it; its place and name stay what the index says."""
    return _read(result.file_path, result.line_start, result.line_end, result.language, result.kind, result.symbol, result.text)


@lru_cache(maxsize=CHUNKS_REMEMBERED)
def _read(path: str, start: int, end: int, language: str, kind: str, symbol: str, text: str) -> Chunk:
    found = chunk_file(path, textwrap.dedent(text).encode(), ChunkingSettings())
    known = {"file_path": path, "line_start": start, "line_end": end, "language": language, "symbol": symbol, "text": text}
    read = next((chunk for chunk in found if chunk.kind == kind), None)
    if read is None:
        return Chunk(kind=kind, **known)  # type: ignore[arg-type]
    # A decorated or commented definition may have its documentation in another piece of it.
    documented = read.docstring or next((chunk.docstring for chunk in found if chunk.docstring), "")
    return dataclasses.replace(read, docstring=documented, **known)  # type: ignore[arg-type]
