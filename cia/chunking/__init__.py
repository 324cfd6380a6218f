"""Files to chunks: definitions by tree-sitter, documents by headings, the rest by lines."""

from cia.chunking.chunk import Chunk, Kind
from cia.chunking.chunker import chunk_file
from cia.chunking.detection import language_of

__all__ = ["Chunk", "Kind", "chunk_file", "language_of"]
