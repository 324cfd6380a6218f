"""Everything can be done without a mouse, and whoever does it sees where they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.rag_server.page.conftest import Site
from tests.rag_server.page.reading import QUESTION
from tests.rag_server.stand_in_model import StandInModel

pytestmark = pytest.mark.browser

FOCUS = """() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const seen = style.outlineStyle !== "none" || element.matches("textarea, input");
    const name = element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.[0]?.textContent || "";
    return {id: element.id, name: name, seen, onPage: element !== document.body};
}"""


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Page, name: str, back: bool = False) -> None:
    for _ in range(40):
        press(page, "Shift+Tab" if back else "Tab")
        if page.evaluate(FOCUS)["name"].startswith(name):
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


def test_from_signing_in_to_signing_out_without_a_mouse(open_page: Callable[..., Page], site: Site, model: StandInModel) -> None:
    model.says = "A wick is trimmed [1]. A lantern burns oil [2]."
    page = open_page()
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type(site.key)
    press(page, "Enter")
    expect(page.locator("#question")).to_be_focused()
    page.evaluate("fetch('/v1/conversations', {method: 'DELETE'})")
    page.keyboard.type(QUESTION)
    press(page, "Shift+Enter")
    page.keyboard.type("In one line.")
    press(page, "Enter")
    expect(page.locator(".answer .facts")).to_be_visible()
    expect(page.locator(".answer h2")).to_have_text(f"{QUESTION}\nIn one line.")

    press(page, "Escape", "j")
    expect(page.locator(".row.lit").first).to_be_in_viewport()
    press(page, "Escape")
    expect(page.locator("#source")).to_be_hidden()
    press(page, "?")
    expect(page.locator("#help")).to_be_visible()
    press(page, "Escape")
    expect(page.locator("#help")).to_be_hidden()

    press(page, "n")
    expect(page.locator("#question")).to_be_focused()
    tab_to(page, QUESTION, back=True)
    press(page, "Enter")
    expect(page.locator(".answer")).to_have_count(1)
    expect(page.locator(".conversation[aria-current]")).to_be_focused()
    tab_to(page, "Sign out")
    press(page, "Enter")
    expect(page.locator("#key")).to_be_focused()


def test_every_stop_of_the_tab_key_has_a_name_and_can_be_seen(page: Page, model: StandInModel) -> None:
    model.says = "So [1]:\n\n```python\nwick.trim(3)\n```\n"
    page.locator("#question").fill(QUESTION)
    press(page, "Enter")
    expect(page.locator(".answer .facts")).to_be_visible()
    page.locator(".citation").first.click()
    expect(page.locator(".row.lit").first).to_be_visible()
    stops = []
    for _ in range(60):
        press(page, "Tab")
        stops.append(page.evaluate(FOCUS))
    on_page = [stop for stop in stops if stop["onPage"]]
    assert [stop for stop in on_page if not stop["name"]] == []
    assert [stop for stop in on_page if not stop["seen"]] == []
    assert {"question", "send", "theme", "history-toggle", "source-close", "copy-place"} <= {stop["id"] for stop in on_page}


def test_letters_typed_into_the_question_are_letters(page: Page) -> None:
    page.locator("#question").focus()
    page.keyboard.type("n/j?h")
    expect(page.locator("#question")).to_have_value("n/j?h")
    expect(page.locator("#help")).to_be_hidden()


def test_the_arrows_go_through_the_list_of_citations(page: Page, model: StandInModel) -> None:
    model.says = "A wick is trimmed [1]. A lantern burns oil [2]."
    page.locator("#question").fill(QUESTION)
    press(page, "Enter")
    links = page.locator(".citations a")
    expect(links).to_have_count(2)
    links.first.focus()
    press(page, "ArrowDown")
    expect(links.last).to_be_focused()
    press(page, "ArrowUp", "Enter")
    expect(page.locator(".row.lit").first).to_be_visible()
    press(page, "Escape")
    expect(links.first).to_be_focused()
