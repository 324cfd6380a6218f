"""What ranking looks at in a file, and the trees that make a score of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
import pytest

from benchmarks.file_ranking import PARAMETERS, Ranked, arrays_of, grow, likeliest_scale
from cia.retrieval.candidate import Candidate
from cia.retrieval.features import feature_matrix
from cia.retrieval.file_features import FILE_FEATURES, file_matrix
from cia.retrieval.forest import Forest
from cia.retrieval.question import take_apart


def candidate(path: str, name: str, sparse: float, calls: Sequence[str] = (), **known: Any) -> Candidate:
    payload = {
        "file_path": path,
        "symbol": name,
        "name": name,
        "kind": "function",
        "language": "python",
        "line_start": 1,
        "line_end": 5,
        "calls": list(calls),
        "text": f"def {name}(): ...",
    }
    return Candidate("shop", "c0ffee", hash((path, name)), payload, sparse=sparse, dense=sparse / 10, **known)


def seen(text: str, *candidates: Candidate) -> dict[str, dict[str, float]]:
    """The features of each file, by path and name."""
    question = take_apart(text)
    idf = dict.fromkeys(question.terms, 1.0)
    number_of, table = file_matrix(question, candidates, feature_matrix(question, candidates, idf), idf)
    assert table.shape == (len({one.file_path for one in candidates}), len(FILE_FEATURES))
    rows = {one.file_path: table[number] for one, number in zip(candidates, number_of, strict=True)}
    return {path: dict(zip(FILE_FEATURES, row.tolist(), strict=True)) for path, row in rows.items()}


def test_a_file_has_the_best_of_its_chunks_and_the_second() -> None:
    found = seen("total price", candidate("a.py", "x", 1.0), candidate("b.py", "y", 4.0), candidate("a.py", "z", 2.0))
    assert found["a.py"]["sparse_of_best"] == 0.5
    assert found["a.py"]["second_sparse"] == pytest.approx(found["a.py"]["sparse"] / 2)
    assert found["b.py"]["second_sparse"] == 0.0
    assert (found["a.py"]["rank_sparse"], found["b.py"]["rank_sparse"]) == (0.5, 1.0)


def test_a_file_has_the_score_of_its_own_tests_and_of_who_calls_it() -> None:
    found = seen(
        "reject a negative quantity",
        candidate("shop/cart.py", "add", 1.0),
        candidate("shop/users.py", "login", 1.0),
        candidate("tests/test_cart.py", "test_negative", 4.0, calls=["Cart.add"]),
    )
    assert found["shop/cart.py"]["test_sparse"] == found["shop/cart.py"]["caller"] == 1.0
    assert found["shop/users.py"]["test_sparse"] == found["shop/users.py"]["caller"] == 0.0
    assert found["tests/test_cart.py"]["test_sparse"] == 0.0
    assert found["tests/test_cart.py"]["callee"] == 0.25


def test_documentation_is_held_against_a_file_only_when_it_is_not_asked_for() -> None:
    chunks = candidate("docs/cart.md", "Cart", 1.0), candidate("shop/cart.py", "Cart", 1.0)
    assert seen("clarify the cart", *chunks)["docs/cart.md"]["documentation"] == 1.0
    assert seen("clarify the documentation of the cart", *chunks)["docs/cart.md"]["documentation"] == 0.0


def test_how_often_a_name_is_said_is_what_the_index_counted() -> None:
    found = seen("cart", candidate("a.py", "x", 1.0, file_chunks=6, name_count=2, stem_count=30))["a.py"]
    assert np.expm1([found["chunks"], found["name_frequency"], found["stem_frequency"]]).round(6).tolist() == [6, 2, 30]


@pytest.fixture(scope="module")
def questions() -> list[Ranked]:
    """Questions whose right file has the highest "file_sparse", give or take some noise."""
    noise = np.random.default_rng(5)
    asked = []
    for _ in range(200):
        table = noise.random((12, len(FILE_FEATURES)))
        merit = table[:, FILE_FEATURES.index("file_sparse")] + 0.1 * noise.random(12)
        asked.append(Ranked(table, merit == merit.max()))
    return asked


def test_a_forest_says_what_the_model_says_that_it_was_made_of(questions: list[Ranked]) -> None:
    model = grow(questions)
    forest = Forest.of(arrays_of(model, scale=2.0))
    for question in questions[:20]:
        assert forest.scores(question.table) == pytest.approx(2.0 * np.asarray(model.predict(question.table)), abs=1e-4)


def test_a_forest_ranks_what_it_was_grown_for_and_its_scale_is_the_likeliest(questions: list[Ranked]) -> None:
    forest = Forest.of(arrays_of(grow(questions[:150]), scale=1.0))
    first = [bool(question.right[np.argmax(forest.scores(question.table))]) for question in questions[150:]]
    assert np.mean(first) > 0.6
    assert 0.2 < likeliest_scale(forest, questions[150:]) <= 5.0


def test_trees_of_one_leaf_are_scores_too() -> None:
    data = lightgbm.Dataset(np.zeros((4, len(FILE_FEATURES))), np.array([1, 0, 1, 0]), group=[2, 2])
    forest = Forest.of(arrays_of(lightgbm.train(PARAMETERS, data, 2), scale=1.0))
    assert np.isfinite(forest.scores(np.zeros((3, len(FILE_FEATURES))))).all()
