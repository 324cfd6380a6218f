"""What goes wrong is said in a sentence, where it happened, with a way on."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from cia.settings import Settings
from tests.rag_server.page.reading import QUESTION

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("status", "message", "retry_after", "sentence"),
    [
        (
            429,
            "100 requests a minute are allowed; the next in 12 s",
            "12",
            "100 requests a minute are allowed; the next in 12 s.",
        ),
        (429, "the tokens of the day are used up", "3000", "The tokens of the day are used up. Try again in 50 minutes."),
        (503, "the index is away", "5", "The index is away. Try again in 5 seconds."),
        (413, "the body is too large", None, "The body is too large."),
    ],
)
def test_a_refusal_is_said_where_the_answer_would_be(
    page: Page, status: int, message: str, retry_after: str | None, sentence: str
) -> None:
    headers = {"Retry-After": retry_after} if retry_after else {}
    page.route("**/v1/ask", lambda route: route.fulfill(status=status, headers=headers, json={"error": {"message": message}}))
    page.locator("#question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .error")).to_have_text(sentence)
    page.unroute("**/v1/ask")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".answer .facts")).to_have_count(1)
    expect(page.locator(".answer")).to_have_count(1)


def test_a_question_that_is_too_long_is_refused_by_the_server_in_its_words(page: Page, indexed: Settings) -> None:
    too_many = indexed.rag.max_question_chars + 1
    page.locator("#question").fill("x" * too_many)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .error")).to_contain_text(f"{too_many} characters")


def test_a_proxy_that_answers_in_html_is_not_quoted(page: Page) -> None:
    page.route("**/v1/ask", lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>"))
    page.locator("#question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .error")).to_have_text("The server answered with 502.")


def test_a_stream_that_breaks_off_says_so_and_keeps_what_came(page: Page) -> None:
    body = 'event: sources\ndata: {"sources": []}\n\nevent: token\ndata: {"text": "A wick"}\n\n'
    page.route("**/v1/ask", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    page.locator("#question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .error")).to_have_text("The answer ended before it was complete.")
    expect(page.locator(".answer-body")).to_have_text("A wick")


def test_a_network_that_is_away_is_said_and_its_return_is_noticed(page: Page) -> None:
    expect(page.locator("#status")).not_to_be_empty()
    page.context.set_offline(True)
    expect(page.locator("#status")).to_have_text("server away")
    page.locator("#question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .error")).to_have_text("The server does not answer. Is it still running?")
    page.context.set_offline(False)
    expect(page.locator("#status")).not_to_have_text("server away")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".answer .facts")).to_have_count(1)
