"""A question and its answer before they are filtered, wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cia.answering.answer import Citation
from cia.chunking import Chunk
from cia.dataset.pair import QuestionKind, Source
from cia.retrieval.result import SearchResult


@dataclass(frozen=True, slots=True)
class Draft:
    """A question and its answer before filtering. ``about`` is what it is about, ``evidence`` the chunks that the answer cites.

    ``content`` is what the answer says apart from names and places: two drafts with the same are one to a model.
    """

    kind: QuestionKind
    question: str
    answer: str
    about: str
    evidence: tuple[Chunk, ...]
    content: str
    source: Source = "code"


@dataclass(frozen=True, slots=True)
class Offered:
    """The drafts of one source about one repository, what never became one, by reason, what its reader should know, and the
    price of it, in the currency of the settings' prices."""

    drafts: Sequence[Draft]
    left_out: Mapping[str, int]
    notices: tuple[str, ...] = ()
    cost: float = 0.0


def shown(repo: str, commit: str, chunk: Chunk) -> SearchResult:
    """Return ``chunk`` as a search would, and a model would be shown it."""
    return SearchResult(
        repo=repo,
        commit=commit,
        file_path=chunk.file_path,
        line_start=chunk.line_start,
        line_end=chunk.line_end,
        language=chunk.language,
        symbol=chunk.symbol,
        kind=chunk.kind,
        score=0.0,
        text=chunk.text,
    )


def place(repo: str, commit: str, chunk: Chunk) -> str:
    """Return the citation of ``chunk`` in its full form."""
    return str(Citation(repo, commit, chunk.file_path, chunk.line_start, chunk.line_end, chunk.symbol))
