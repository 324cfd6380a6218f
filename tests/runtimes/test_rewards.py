from __future__ import annotations

from typing import Any

import pytest

from cia.answering.prompt import ABSTENTION
from runtimes.rewards import MOST, REWARDS, abstains, covers, form, resolves, supported, total

PLACES = [
    {
        "repo": "app",
        "file_path": "stock.py",
        "line_start": 10,
        "line_end": 12,
        "text": "def release(item):\n    return item.count",
    },
    {"repo": "app", "file_path": "stock.py", "line_start": 20, "line_end": 21, "text": "def hold(item):\n    raise StockError"},
    {"repo": "app", "file_path": "cart.py", "line_start": 1, "line_end": 3, "text": "class Cart:\n    pass"},
]
LINES = ("repo", "file_path", "line_start", "line_end")


def check(*right: int, form: str = "choice") -> dict[str, Any]:
    gold = [{name: PLACES[number - 1][name] for name in LINES} for number in right]
    return {"form": form, "choices": ["[1]", "[2]", "[3]", ABSTENTION], "places": PLACES, "gold": gold}


@pytest.mark.parametrize(
    "worse",
    [
        "",
        "   ",
        "[1]",
        "[9]",
        ABSTENTION,
        "[1][2][3]",
        "[1] [2] [3]",
        "[2][1][3]",
        "It is in the stock.",
        "[2] and then some more",
    ],
)
def test_by_choice_nothing_earns_as_much_as_the_right_place(worse: str) -> None:
    assert total("[2]", check(2)) == pytest.approx(1.0)
    assert total(worse, check(2)) < 0.95


@pytest.mark.parametrize("worse", ["", "[1]", "[1][2][3]", "I cannot say."])
def test_where_no_place_answers_nothing_earns_as_much_as_to_decline(worse: str) -> None:
    assert total(ABSTENTION, check()) == pytest.approx(1.0)
    assert total(worse, check()) < 0.5


def test_to_decline_wrongly_earns_less_than_a_wrong_place() -> None:
    assert total(ABSTENTION, check(2)) < total("[1]", check(2))


def test_an_empty_completion_earns_nothing() -> None:
    for gold in ((), (2,)):
        assert all(reward(" ", check(*gold)) == 0 for reward, _ in REWARDS.values())


def test_gold_that_was_not_shown_cannot_be_chosen() -> None:
    elsewhere = check() | {"gold": [{"repo": "app", "file_path": "other.py", "line_start": 1, "line_end": 2}]}
    assert abstains(ABSTENTION, elsewhere) == 1
    assert abstains("[1]", elsewhere) == 0


def test_the_form_by_choice_is_one_choice_and_nothing_else() -> None:
    assert [form(said, check(1)) for said in ("[1]", " [3]\n", ABSTENTION)] == [1, 1, 1]
    assert form("[1] It is here.", check(1)) == 0.5
    assert form("see [1]", check(1)) == 0


def test_a_citation_of_a_place_that_was_not_shown_does_not_resolve() -> None:
    assert resolves("[2]", check(2)) == 1
    assert resolves("[2][4]", check(2)) == 0.5
    assert resolves("[0]", check(2)) == 0
    assert resolves("no citation", check(2)) == 0


def test_each_needless_citation_costs() -> None:
    paid = [covers(said, check(2, form="prose")) for said in ("a [2].", "a [2] [1].", "a [2, 1, 3].")]
    assert paid == sorted(paid, reverse=True)
    assert paid[0] == 1
    assert paid[2] == 0.5


def test_in_prose_all_right_places_are_wanted() -> None:
    assert covers("a [1].", check(1, 2, form="prose")) == pytest.approx(2 / 3)
    assert covers("a [1] [2].", check(1, 2, form="prose")) == 1
    assert covers("[1]", check(1, 2)) == 1


def test_in_prose_a_sentence_that_its_place_does_not_support_earns_nothing() -> None:
    prose = check(2, form="prose")
    assert supported("`hold` raises `StockError` [2].", prose) == 1
    assert supported("`hold` raises `StockError` [3].", prose) == 0
    assert supported("`hold` sends an `Email` [2].", prose) == 0
    assert total("`hold` raises `StockError` [2].", prose) > total("`hold` raises `StockError` [1] [2] [3].", prose)


def test_many_sentences_are_not_the_form() -> None:
    prose = check(2, form="prose")
    assert form("One is. Two is. Three is [2].", prose) == 1
    assert form("One is. Two is. Three is. Four is. Five is. Six is.", prose) == 0


def test_the_weights_add_up() -> None:
    assert pytest.approx(sum(weight for _, weight in REWARDS.values())) == MOST
