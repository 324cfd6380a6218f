"""Code, file names, models, people and servers may say what they like: it stays text, and loads nothing.

The fixtures fail a test on any request to elsewhere, any dialog, and any error or refusal in the browser's console.
"""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, Route, expect

from tests.rag_server.page.reading import ask, unchanged
from tests.rag_server.stand_in_model import StandInModel

pytestmark = pytest.mark.browser

SCRIPT = "<script>document.title='pwned'</script>"
IMAGE = "<img src=x onerror=\"document.title='pwned'\"><img src=https://evil.example/a.png>"
LINK = "[click](javascript:document.title='pwned') <a href=\"javascript:document.title='pwned'\">here</a>"
MARKDOWN = "![seen](https://evil.example/seen.png) [away](https://evil.example) https://evil.example/ <https://evil.example>"
HOSTILE = f"{SCRIPT} {IMAGE} {LINK} {MARKDOWN} <svg onload=document.title='pwned'></svg> <iframe src=//evil.example></iframe>"
MADE_BY_MARKUP = ":is(.answer, .history, .source, .sign-in) :is(script, img[src*=evil], img[onerror], svg, iframe, b, object)"


def assert_text_only(page: Page) -> None:
    assert unchanged(page)
    assert page.locator(MADE_BY_MARKUP).count() == 0
    addresses = [link.get_attribute("href") or "" for link in page.locator("#main a, #history a, #source a").all()]
    assert all(address.startswith("#/") or address == "/docs" for address in addresses), addresses


def test_what_a_hostile_file_says_stays_text(page: Page, model: StandInModel) -> None:
    model.says = "It returns the banner [1]."
    ask(page, "What does hostile_banner return?")
    page.locator(".citations a", has_text="hostile").first.click()
    expect(page.locator(".row.lit").first).to_be_visible()
    expect(page.locator("#source-path")).to_contain_text("hostile <b>.py")
    expect(page.locator("#source-body")).to_contain_text("</script><script>")
    assert_text_only(page)


@pytest.mark.parametrize(
    "says", [SCRIPT, IMAGE, LINK, MARKDOWN, f"```html\n{HOSTILE}\n```", f"`{HOSTILE}`", f"[<b>/{HOSTILE}:1-2]"]
)
def test_what_a_hostile_model_says_stays_text(page: Page, model: StandInModel, says: str) -> None:
    model.says, model.pause_seconds = f"A wick is trimmed [1]. {says}\n\n{says} [1]", 0.01
    ask(page)
    assert_text_only(page)


def test_a_hostile_question_stays_text_also_as_a_title_and_a_comment(page: Page) -> None:
    ask(page, f"{HOSTILE} How is a wick trimmed?")
    expect(page.locator(".answer h2").last).to_contain_text(SCRIPT)
    expect(page.locator(".conversation .title").first).to_contain_text("<script>")
    page.get_by_role("button", name="Not a good answer").last.click()
    expect(page.locator(".feedback textarea")).to_be_focused()
    page.keyboard.type(HOSTILE)
    page.keyboard.press("Enter")
    expect(page.locator(".comment-given")).to_contain_text(SCRIPT)
    page.reload()
    expect(page.locator(".comment-given")).to_contain_text(SCRIPT)
    page.locator(".history-item").first.hover()
    page.locator(".history-item .tool").first.click()
    assert_text_only(page)


def test_hostile_errors_and_facts_stay_text(page: Page) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=500, json={"error": {"message": HOSTILE, "type": HOSTILE}})

    page.route("**/v1/ask", refuse)
    page.locator("#question").fill("How?")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .error")).to_contain_text(SCRIPT)
    page.unroute("**/v1/ask")

    citation = {"repo": HOSTILE, "commit": HOSTILE, "file_path": HOSTILE, "line_start": 1, "line_end": 2, "symbol": HOSTILE}
    answer = {
        "answer": HOSTILE, "abstained": False, "mode": HOSTILE, "model": HOSTILE, "citations": [citation], "notices": [HOSTILE],
        "index": {"repo": HOSTILE, "commit": HOSTILE}, "trace_id": HOSTILE, "dropped_citations": 1, "fallback_reason": HOSTILE,
        "conversation": "../../me", "resolved_question": HOSTILE,
    }  # fmt: skip
    events = f"event: sources\ndata: {json.dumps({'sources': [citation]})}\n\nevent: answer\ndata: {json.dumps(answer)}\n\n"
    page.route("**/v1/ask", lambda route: route.fulfill(content_type="text/event-stream", body=events))
    ask(page, "How?")
    expect(page.locator(".understood").last).to_contain_text(SCRIPT)
    page.locator(".citations a").last.click()
    expect(page.locator("#source-path")).to_contain_text(SCRIPT)
    assert_text_only(page)


def test_a_hostile_user_repository_and_model_name_stay_text(page: Page) -> None:
    repositories = [{"name": HOSTILE, "commit": HOSTILE, "files": 1, "chunks": 1}]
    page.route("**/v1/repositories", lambda route: route.fulfill(json={"repositories": repositories}))
    page.route("**/v1/me", lambda route: route.fulfill(json={"user": HOSTILE, "admin": False, "repos": None}))
    page.route("**/model/info", lambda route: route.fulfill(json={"mode": "llm", "model": HOSTILE, "detail": HOSTILE}))
    page.reload()
    expect(page.locator("#user")).to_contain_text(SCRIPT)
    expect(page.locator("#status")).to_contain_text(SCRIPT)
    page.locator("#picker-label").click()
    expect(page.locator("#repositories")).to_contain_text(SCRIPT)
    assert_text_only(page)
