"""Finding code: ``Indexer`` makes a repository searchable, ``Retriever`` searches it.

Both start fast: no model, no server and nothing heavier than NumPy is loaded before it is needed.
"""

from cia.retrieval.indexer import Indexer, IndexReport
from cia.retrieval.result import SearchResponse, SearchResult
from cia.retrieval.retriever import Retriever
from cia.retrieval.store import IndexedRepository

__all__ = ["IndexReport", "IndexedRepository", "Indexer", "Retriever", "SearchResponse", "SearchResult"]
