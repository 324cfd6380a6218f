"""Answers without a model: the best places, each introduced in a sentence, cited and quoted."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from cia.answering.answer import Citation
from cia.answering.citations import LineCount, check
from cia.answering.definition import definition_in
from cia.answering.inert import inert
from cia.answering.prompt import ABSTENTION, fenced
from cia.answering.sentences import name_shown, what_and_where
from cia.retrieval.result import SearchResult

PLACES = 3
"""How many places an answer quotes: more is a search, not an answer."""

EXCERPT_LINES = 12
"""Lines quoted of each place; the citation says where the rest is."""

OPENING = "No model is answering; these are the most relevant places."


def quote_places(results: Sequence[SearchResult], line_count: LineCount | None) -> tuple[str, tuple[Citation, ...]]:
    """Return the text of an extractive answer over ``results``, best first, and its citations, each one verified."""
    quoted = [(result, citation) for result in results if (citation := _cited(result, line_count))][:PLACES]
    parts = [
        OPENING,
        *(f"{what_and_where(definition_in(result))} {citation}\n\n{_quotation(result)}" for result, citation in quoted),
    ]
    return inert("\n\n".join(parts)), tuple(citation for _, citation in quoted)


def closest_places(
    results: Sequence[SearchResult], missing_names: Sequence[str], line_count: LineCount | None
) -> tuple[str, tuple[Citation, ...]]:
    """Return the text that declines to answer: which asked names do not exist, and the places nearest to the question."""
    near = [citation for result in results if (citation := _cited(result, line_count))][:PLACES]
    text = ABSTENTION
    if absent := [f"`{name}`" for name in missing_names if name_shown(name)]:
        text += f" {', '.join(absent)} {'does' if len(absent) == 1 else 'do'} not occur in it."
    if near:
        named = [f"`{citation.symbol}` {citation}" if name_shown(citation.symbol) else str(citation) for citation in near]
        text += f" The closest places are {', '.join(named)}."
    return inert(text), tuple(near)


def _cited(result: SearchResult, line_count: LineCount | None) -> Citation | None:
    return next(iter(check("[1]", [result], line_count).citations), None)


def _quotation(result: SearchResult) -> str:
    lines = textwrap.dedent(result.text).rstrip().split("\n")
    shown = "\n".join(lines[:EXCERPT_LINES]).rstrip()
    return fenced(f"{shown}\n..." if len(lines) > EXCERPT_LINES else shown, result.language)
