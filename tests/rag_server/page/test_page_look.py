"""Light or dark without a flash, on a phone without a sideways scroll, still for those who want it still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.rag_server.page.conftest import Site
from tests.rag_server.page.reading import ask
from tests.rag_server.stand_in_model import StandInModel

pytestmark = pytest.mark.browser

PAPER = "getComputedStyle(document.body).backgroundColor"
WIDTH = "document.scrollingElement.scrollWidth"


def is_dark(page: Page) -> bool:
    red = page.evaluate(PAPER).removeprefix("rgb(").split(",")[0]
    return int(red) < 128


def test_the_theme_follows_the_system_until_one_is_chosen(page: Page) -> None:
    toggle = page.get_by_role("button", name="Theme")
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert is_dark(page) == (scheme == "dark")
    toggle.click()
    expect(toggle).to_have_accessible_name("Theme: light")
    page.emulate_media(color_scheme="dark")
    assert not is_dark(page)
    toggle.click()
    page.emulate_media(color_scheme="light")
    assert is_dark(page)
    toggle.click()
    assert not is_dark(page)


def test_a_chosen_theme_is_there_before_anything_is_painted(page: Page, site: Site) -> None:
    page.get_by_role("button", name="Theme").click(click_count=2)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("({...localStorage})") == {"theme": "dark"}
    page.route("**/app.js", lambda route: route.abort())  # whatever comes later is not needed for it
    page.reload(wait_until="domcontentloaded")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert is_dark(page)
    markup = page.request.get(site.address).text()
    assert 0 < markup.index('theme-first.js"></script>') < markup.index("<link") < markup.index("<body")


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(open_page: Callable[..., Page], site: Site, model: StandInModel, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 740}, has_touch=True)
    assert page.evaluate(WIDTH) <= width
    page.goto(f"{site.address}/#key={site.key}")
    expect(page.locator("#user")).not_to_be_empty()
    assert page.evaluate(WIDTH) <= width
    model.says = f"A wick is trimmed [1].\n\n`{'long_name_' * 12}` and {'w' * 90}\n\n```python\n{'x' * 200}\n```"
    ask(page, "Where in all of this code is a wick trimmed " + "q" * 80)
    page.get_by_role("button", name="Not a good answer").click()
    assert page.evaluate(WIDTH) <= width
    page.locator("#history-toggle").click()
    expect(page.locator("#history")).to_be_in_viewport()
    page.locator(".conversation").first.click()
    expect(page.locator("#history")).to_be_hidden()
    page.locator("#picker-label").click()
    box: Any = page.locator("#repositories").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.locator(".citations a").first.click()
    expect(page.locator(".row.lit").first).to_be_in_viewport()
    assert page.evaluate(WIDTH) <= width


def test_nothing_moves_for_those_who_want_it_still(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    ask(page)
    page.locator(".citations a").first.click()
    expect(page.locator(".row.lit").first).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_api_page_works_without_a_network(open_page: Callable[..., Page]) -> None:
    page = open_page("/docs")
    expect(page.locator(".opblock").first).to_be_visible(timeout=15_000)
