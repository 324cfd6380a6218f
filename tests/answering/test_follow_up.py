"""A follow-up gets what it leans on from the conversation, and nothing else; other questions stay as they are."""

from __future__ import annotations

import pytest

from cia.answering import Exchange
from cia.answering.follow_up import resolve

ADDED = Exchange(
    "Where are query parameters added to a URL?",
    "`QueryParams.add` is a method in `_urls.py`: Return a new instance. [httpx/httpx/_urls.py:552-565]",
)
CALLS = Exchange("Who calls QueryParams.add?", "`Client.merge` does. [httpx/httpx/_client.py:3-9]")


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [
        ("and who calls it?", "who calls QueryParams.add?"),
        ("Which tests cover that?", "Which tests cover QueryParams.add?"),
        ("Is this function tested?", "Is QueryParams.add tested?"),
        ("what are its arguments?", "what are QueryParams.add's arguments?"),
        ("ok, and what happens when that fails?", "what happens when QueryParams.add fails?"),
        ("does AsyncClient have that too?", "does AsyncClient have QueryParams.add too?"),
        ("Does BasicAuth use it?", "Does BasicAuth use QueryParams.add?"),
        ("Thanks! Where is it tested?", "Where is QueryParams.add tested?"),
        ("Could you explain that function in more detail?", "Could you explain QueryParams.add in more detail?"),
    ],
)
def test_a_pronoun_stands_for_the_name_that_the_last_answer_cites(asked: str, resolved: str) -> None:
    assert resolve(asked, [ADDED]) == resolved


def test_a_name_in_the_last_question_goes_before_one_in_its_answer() -> None:
    assert resolve("and where is it defined?", [CALLS]) == "where is QueryParams.add defined?"


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [
        ("why?", "why (query parameters added URL)"),
        ("And in the client?", "in the client (query parameters added URL)"),
        ("for a single request?", "for a single request (query parameters added URL)"),
        ("show me an example", "show me an example (query parameters added URL)"),
        ("What about timeouts?", "timeouts (query parameters added URL)"),
    ],
)
def test_a_fragment_is_asked_together_with_the_words_of_the_last_question(asked: str, resolved: str) -> None:
    assert resolve(asked, [ADDED]) == resolved


def test_the_same_is_asked_of_another_name() -> None:
    assert resolve("And what about Cookies.set?", [CALLS]) == "Who calls Cookies.set?"
    assert resolve("What about QueryParams.remove?", [ADDED]) == "QueryParams.remove"


def test_without_a_name_anywhere_the_words_carry_over() -> None:
    declined = Exchange("How are redirects followed?", "The indexed code does not answer this.")
    assert resolve("and where is it defined?", [declined]) == "where is it defined (redirects followed)"


def test_a_follow_up_to_a_follow_up_reaches_back_to_the_name() -> None:
    again = Exchange("and who calls it?", "`Client.merge` does. [httpx/httpx/_client.py:3-9]")
    assert resolve("and where is it tested?", [ADDED, again]) == "where is QueryParams.add tested?"


@pytest.mark.parametrize(
    "asked",
    [
        "How are redirects followed?",
        "When a proxy fails, is it retried?",
        "How does the retry handler know that it must stop?",
        "What is the type that is returned by Client.get?",
        "What does this project do?",
        "Does that library support HTTP/2?",
        "and how is the cookie jar saved?",
        "How does a client follow redirects, and when does it stop?",
        "QueryParams.remove",
        "in which class is the connection pool closed when the client ends?",
    ],
)
def test_a_question_that_stands_by_itself_is_left_alone(asked: str) -> None:
    assert resolve(asked, [ADDED]) == asked


def test_without_a_conversation_nothing_is_resolved() -> None:
    assert resolve("and who calls it?", []) == "and who calls it?"
