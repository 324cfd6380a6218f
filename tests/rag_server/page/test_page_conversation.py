"""Questions that belong together: asked, watched, gone on with, looked up again, rated and deleted."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.rag_server.page.conftest import Site
from tests.rag_server.page.reading import QUESTION, ask
from tests.rag_server.stand_in_model import StandInModel

pytestmark = pytest.mark.browser

LONG = (
    "A wick is trimmed by Wick.trim [1]. It takes the length to cut away in millimetres, and gives back what is left. "
    "When more is asked for than there is, nothing of the wick remains, which is not an error. "
)


@pytest.fixture(autouse=True)
def no_history(page: Page) -> None:
    """Each test begins without conversations."""
    page.evaluate("fetch('/v1/conversations', {method: 'DELETE'})")
    page.reload()
    expect(page.locator("#history-list")).to_contain_text("What you ask is kept here")


def test_sources_come_first_then_the_answer_piece_by_piece(page: Page, model: StandInModel) -> None:
    model.says = LONG
    model.pause_seconds = 0.04
    page.locator("#question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".reading-places .citation").first).to_contain_text("wick.py")
    expect(page.locator(".answer-body")).to_contain_text("trimmed by Wick.trim")
    assert page.locator(".facts").count() == 0, "the answer was shown only when it was complete"
    expect(page.locator("#send")).to_have_text("Stop")
    expect(page.locator(".facts")).to_contain_text("code-assistant-base")
    expect(page.locator("#send")).to_have_text("Ask")


def test_escape_stops_the_answer_and_the_model(page: Page, model: StandInModel) -> None:
    model.says = LONG * 20
    model.pause_seconds = 0.05
    page.locator("#question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".answer-body")).to_contain_text("trimmed by Wick.trim")
    page.keyboard.press("Escape")
    expect(page.locator(".answer-foot .note")).to_have_text("Stopped.")
    expect(page.locator(".answer-body")).to_contain_text("trimmed by Wick.trim")
    assert model.hung_up.wait(5)


def test_a_follow_up_goes_on_in_the_same_conversation_and_says_how_it_was_understood(page: Page) -> None:
    with page.expect_request("**/v1/ask") as first:
        ask(page)
    assert first.value.post_data_json["conversation"] == "new"
    with page.expect_request("**/v1/ask") as second:
        ask(page, "And how bright does it burn?")
    assert second.value.post_data_json["conversation"] not in ("new", None)
    expect(page.locator(".answer").last.locator(".understood")).to_contain_text("understood as: ")
    expect(page.locator(".answer").first.locator(".understood")).to_be_hidden()
    expect(page.locator(".conversation")).to_have_count(1)
    expect(page.locator(".answer").last).to_be_in_viewport()


def test_a_new_conversation_forgets_the_last_but_keeps_it_in_the_history(page: Page) -> None:
    ask(page)
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator(".answer")).to_have_count(0)
    with page.expect_request("**/v1/ask") as request:
        ask(page, "What does a lantern burn with a wick?")
    assert request.value.post_data_json["conversation"] == "new"
    expect(page.locator(".conversation .title")).to_have_text(["What does a lantern burn with a wick?", QUESTION])
    page.go_back()
    expect(page.locator(".answer h2")).to_have_text([QUESTION])


def test_a_conversation_is_opened_again_and_a_reload_keeps_it(page: Page) -> None:
    ask(page)
    ask(page, "How bright does a wick burn?")
    page.get_by_role("button", name="New conversation").click()
    page.locator(".conversation").click()
    expect(page.locator(".answer h2")).to_have_text([QUESTION, "How bright does a wick burn?"])
    expect(page.locator(".conversation")).to_have_attribute("aria-current", "true")
    page.reload()
    expect(page.locator(".answer h2")).to_have_text([QUESTION, "How bright does a wick burn?"])
    with page.expect_request("**/v1/ask") as request:
        ask(page, "And how is it trimmed?")
    assert request.value.post_data_json["conversation"] != "new"


def test_a_conversation_is_deleted_only_after_a_second_word(page: Page) -> None:
    ask(page)
    remove = page.get_by_role("button", name=f"Delete “{QUESTION}”")
    page.locator(".history-item").hover()
    remove.click()
    expect(page.get_by_role("button", name="Keep")).to_be_focused()
    page.keyboard.press("Enter")
    expect(remove).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".conversation")).to_have_count(0)
    expect(page.locator(".answer")).to_have_count(0)
    page.reload()
    expect(page.locator("#history-list")).to_contain_text("What you ask is kept here")


def test_all_conversations_are_deleted_at_once(page: Page) -> None:
    for question in (QUESTION, "How bright does a wick burn?"):
        page.get_by_role("button", name="New conversation").click()
        ask(page, question)
    page.get_by_role("button", name="Delete all conversations").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".conversation")).to_have_count(0)


def test_a_rating_and_its_comment_reach_the_server_and_can_be_changed(page: Page) -> None:
    ask(page)
    with page.expect_response("**/v1/feedback") as rated:
        page.get_by_role("button", name="Not a good answer").click()
    assert rated.value.status == 204
    comment = page.get_by_label("What should it have said?")
    expect(comment).to_be_focused()
    page.keyboard.type("That it is measured in millimetres.")
    with page.expect_response("**/v1/feedback") as commented:
        page.keyboard.press("Enter")
    assert commented.value.status == 204
    sent = json.loads(commented.value.request.post_data or "")
    assert (sent["rating"], sent["comment"]) == ("down", "That it is measured in millimetres.")

    page.reload()
    expect(page.get_by_role("button", name="Not a good answer")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".feedback")).to_contain_text("measured in millimetres")
    page.get_by_role("button", name="A good answer", exact=True).click()
    expect(page.get_by_role("button", name="Not a good answer")).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(page.get_by_role("button", name="A good answer", exact=True)).to_have_attribute("aria-pressed", "true")


def test_a_conversation_of_someone_else_is_not_to_be_had(open_page: Callable[..., Page], page: Page, other_key: str) -> None:
    ask(page)
    state = page.evaluate("history.state")
    other = open_page(f"/#key={other_key}")
    expect(other.locator("#user")).not_to_be_empty()
    other.evaluate("state => history.replaceState(state, '')", state)
    other.reload()
    expect(other.locator("#repositories label")).not_to_have_count(0)
    assert other.locator(".answer").count() == 0


def test_the_repositories_can_be_narrowed(page: Page, site: Site) -> None:
    page.locator("#picker summary").click()
    page.locator("#repositories label", has_text="lantern").click()
    expect(page.locator("#picker-label")).to_have_text("lantern")
    page.keyboard.press("Escape")
    with page.expect_request("**/v1/ask") as request:
        ask(page)
    assert request.value.post_data_json["repos"] == ["lantern"]
