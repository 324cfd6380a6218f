"""A small shop as the indexed repository: its code, its chunks, and questions about it."""

from __future__ import annotations

import pytest

from benchmarks.judge.agreement import shop_places
from cia.dataset.pair import GoldCitation, QuestionAnswerPair
from cia.evaluation import Question, QuestionSet
from cia.evaluation.evaluate import data_hash
from cia.retrieval.result import SearchResult


@pytest.fixture(scope="session")
def shop() -> dict[str, SearchResult]:
    """The chunks of the shop by symbol; what stands outside definitions under the name of its module."""
    return shop_places()


def _gold(chunk: SearchResult) -> GoldCitation:
    return GoldCitation(
        repo=chunk.repo,
        commit=chunk.commit,
        file_path=chunk.file_path,
        line_start=chunk.line_start,
        line_end=chunk.line_end,
        symbol=chunk.symbol,
    )


def _pair(kind: str, question: str, answer: str, gold: list[SearchResult]) -> QuestionAnswerPair:
    return QuestionAnswerPair(
        id=f"{kind}-{question}", kind=kind, question=question, answer=answer, citations=tuple(map(_gold, gold)),
        repo="shop", commit="c" * 40, split="evaluation",
    )  # fmt: skip


@pytest.fixture(scope="session")
def questions(shop: dict[str, SearchResult]) -> QuestionSet:
    """Thirty-odd questions about the shop, each with five chunks of context; the right one is first for about half of them."""
    described = [name for name, chunk in shop.items() if chunk.kind == "function" and '"""' in chunk.text]
    pairs: list[QuestionAnswerPair] = []
    for name in described:
        chunk = shop[name]
        purpose = chunk.text.split('"""')[1].strip().split("\n")[0]
        place = f"`{name}` is defined in {chunk.file_path}, lines {chunk.line_start} to {chunk.line_end}."
        pairs.append(_pair("where", f"Where is `{name}` defined?", place, [chunk]))
        pairs.append(_pair("what", f"What does `{name}` do?", f"`{name}`: {purpose}", [chunk]))
    caller = shop["Cart.checkout"]
    pairs += [
        _pair("callers", f"Which functions call `{name}`?", f"`{name}` is called by `Cart.checkout`.", [caller])
        for name in ("apply_discount", "total_with_tax", "Stock.reserve", "Stock.release")
    ]
    subjects = ("Kubernetes", "the login page", "the database schema", "image thumbnails")
    pairs += [
        _pair("unanswerable", f"How is {subject} set up?", "The indexed code does not answer this.", []) for subject in subjects
    ]
    chunks = list(shop.values())
    prepared = []
    for number, pair in enumerate(sorted(pairs, key=lambda pair: pair.id)):
        gold = [chunk for chunk in chunks if pair.citations and chunk.symbol == pair.citations[0].symbol]
        others = [chunk for chunk in chunks[number % 7 :] + chunks[: number % 7] if chunk not in gold][:4]
        rank = (0, 1, 0, 2, 0, 1, 3)[number % 7]
        prepared.append(Question(pair, tuple(others[:rank] + gold + others[rank:])))
    return QuestionSet(tuple(prepared), data_hash(pairs), "index-of-the-shop")
