"""Answers without a model: the best places, each introduced in a sentence, cited and quoted."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache

from cia.answering.answer import Citation
from cia.answering.citations import LineCount, check
from cia.answering.docstring import first_sentence
from cia.answering.inert import inert
from cia.answering.prompt import ABSTENTION, fenced
from cia.chunking import chunk_file
from cia.retrieval.result import SearchResult
from cia.settings import ChunkingSettings

PLACES = 3
"""How many places an answer quotes: more is a search, not an answer."""

EXCERPT_LINES = 12
"""Lines quoted of each place; the citation says where the rest is."""

CHUNKS_REMEMBERED = 16_384
"""Their first sentences: the same places answer many questions, and reading one takes a millisecond."""

OPENING = "No model is answering; these are the most relevant places."


def quote_places(results: Sequence[SearchResult], line_count: LineCount | None) -> tuple[str, tuple[Citation, ...]]:
    """Return the text of an extractive answer over ``results``, best first, and its citations, each one verified."""
    quoted = [(result, citation) for result in results if (citation := _cited(result, line_count))][:PLACES]
    parts = [OPENING, *(f"{_sentence(result)} {citation}\n\n{_quotation(result)}" for result, citation in quoted)]
    return inert("\n\n".join(parts)), tuple(citation for _, citation in quoted)


def closest_places(
    results: Sequence[SearchResult], missing_names: Sequence[str], line_count: LineCount | None
) -> tuple[str, tuple[Citation, ...]]:
    """Return the text that declines to answer: which asked names do not exist, and the places nearest to the question."""
    near = [citation for result in results if (citation := _cited(result, line_count))][:PLACES]
    text = ABSTENTION
    if absent := [f"`{name}`" for name in missing_names if _name(name)]:
        text += f" {', '.join(absent)} {'does' if len(absent) == 1 else 'do'} not occur in it."
    if near:
        named = [f"`{citation.symbol}` {citation}" if _name(citation.symbol) else str(citation) for citation in near]
        text += f" The closest places are {', '.join(named)}."
    return inert(text), tuple(near)


def what_it_is(kind: str, symbol: str) -> str:
    """Return a chunk's kind in English: ``a method``, ``a class``, ``a section``."""
    if kind == "function":
        return "a method" if "." in symbol else "a function"
    return {"class": "a class", "module": "code outside definitions", "section": "a section"}.get(kind, "a passage")


def _cited(result: SearchResult, line_count: LineCount | None) -> Citation | None:
    return next(iter(check("[1]", [result], line_count).citations), None)


def _sentence(result: SearchResult) -> str:
    name = _name(result.symbol)
    start = f"`{name}` is {what_it_is(result.kind, name)}" if name else what_it_is(result.kind, name).capitalize()
    purpose = _purpose(result)
    return f"{start} in `{result.file_path}`: {purpose}" if purpose else f"{start} in `{result.file_path}`."


def _purpose(result: SearchResult) -> str:
    return _purpose_of(result.file_path, result.text) if result.kind in ("function", "class") else ""


@lru_cache(maxsize=CHUNKS_REMEMBERED)
def _purpose_of(path: str, text: str) -> str:
    chunks = chunk_file(path, textwrap.dedent(text).encode(), ChunkingSettings())
    documented = next((chunk.docstring for chunk in chunks if chunk.docstring), "")
    return check(first_sentence(documented), ()).text  # a docstring is data, and may hold what looks like a citation


def _quotation(result: SearchResult) -> str:
    lines = textwrap.dedent(result.text).rstrip().split("\n")
    shown = "\n".join(lines[:EXCERPT_LINES]).rstrip()
    return fenced(f"{shown}\n..." if len(lines) > EXCERPT_LINES else shown, result.language)


def _name(symbol: str) -> str:
    return symbol if symbol.isprintable() and "`" not in symbol else ""
