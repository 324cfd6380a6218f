"""Files to chunks: source code by its definitions, documents by headings, data files by keys, the rest by lines.

What a chunk is, and why:

- Every function and method is a chunk of exactly its lines, with its decorators and the documentation comment above it,
  so that a search for what it does finds it and a citation names it. Functions inside a function stay in it.
- A class is a chunk too. Up to ``class_outline_lines`` it is the whole class, although its methods are chunks as well:
  the question may be about either. Longer, it is an outline: the header with docstring and fields up to the first member,
  and the code between members; repeating the members would only crowd out other results.
- A function longer than ``max_lines`` is cut between its outermost statements; definitions inside it become chunks. Only
  the part that begins it carries its signature and docstring.
- Code outside definitions is gathered into imports, long statements, and groups of the others (kind ``module``). A lone
  assignment has the name it assigns as its symbol.
- Rows that only close something (the ``}`` of an outlined class) go to the chunk before them.
- Every line with a word on it is in a chunk. Blank lines go to a chunk above them that is no whole definition; those
  between two definitions are in none, because a chunk's lines are cited.
"""

from cia.chunking.chunk import Chunk, Kind
from cia.chunking.chunker import chunk_file
from cia.chunking.detection import LANGUAGES, language_of

__all__ = ["LANGUAGES", "Chunk", "Kind", "chunk_file", "language_of"]
