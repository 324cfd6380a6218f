"""The retriever as LangChain knows retrievers.

``BaseRetriever`` is the seam that fits: anything in LangChain can ask it, and it asks ``Retriever``. ``QdrantVectorStore`` of
langchain-qdrant does not fit this index: it writes points one collection at a time with no generation that can be switched
atomically, makes sparse vectors through an embedding class of its own (ours are BM25F over code fields), and hands back fused
ranks, where the ranking here needs both raw scores of every candidate.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from cia.retrieval.retriever import Retriever


class CodeRetriever(BaseRetriever):
    """Returns chunks as documents: the text as content, everything else as metadata. ``repos`` as in ``Retriever.search``."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    repos: Sequence[str] | None = None
    limit: int | None = None

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
    ) -> list[Document]:
        response = self.retriever.search(query, repos=self.repos, limit=self.limit)
        documents = []
        for result in response.results:
            metadata = result.as_json()
            documents.append(Document(page_content=metadata.pop("text"), metadata=metadata))
        return documents
