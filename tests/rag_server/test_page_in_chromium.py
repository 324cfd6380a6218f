"""In a real browser: an answer is read, a citation opened, and what a hostile file says stays text."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.page_screenshot import CHROMIUM_ARGUMENTS
from cia.settings import Settings
from tests.rag_server.running_server import served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def address(indexed: Settings) -> Iterator[str]:
    with served(indexed) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, freshly opened. Whatever it loads from elsewhere, and every error in it, fails the test."""
    page = browser.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith(address) else None)
    page.goto(address)
    yield page
    page.close()
    assert wrong == []


def ask(page: Page, question: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(question)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .facts").first).to_be_visible()


def test_a_question_is_answered_and_its_citation_opens_at_its_lines(page: Page) -> None:
    ask(page, "How is a wick trimmed?")
    expect(page.locator(".facts").first).to_contain_text("extractive")
    citation = page.locator(".answer-body .citation").first
    expect(citation).to_be_visible()
    start, end = map(int, re.findall(r"\d+", citation.inner_text().rpartition(":")[2]))
    citation.click()
    lit = page.locator(".row.lit")
    expect(lit).to_have_count(end - start + 1)
    expect(lit.first).to_have_attribute("data-line", str(start))
    expect(lit.first).to_be_in_viewport()
    assert "def trim" in "".join(lit.all_inner_texts())


def test_escape_closes_the_source_and_the_address_opens_it_again(page: Page) -> None:
    ask(page, "How is a wick trimmed?")
    page.locator(".citations a").first.click()
    expect(page.locator("#source")).to_be_visible()
    shared = page.url
    page.keyboard.press("Escape")
    expect(page.locator("#source")).to_be_hidden()
    assert "#" not in page.url
    page.goto(shared)
    expect(page.locator(".row.lit").first).to_be_visible()
    page.reload()
    expect(page.locator(".row.lit").first).to_be_visible()


def test_what_a_hostile_file_says_stays_text(page: Page) -> None:
    ask(page, "What does hostile_banner return?")
    expect(page.locator(".answer-body").first).to_contain_text("onerror")
    page.locator(".citations a", has_text="hostile").first.click()
    expect(page.locator(".row.lit").first).to_be_visible()
    expect(page.locator("#source-body")).to_contain_text("</script><script>")
    assert page.locator(".answer img, .answer script, #source img, #source script, #source svg, #source b").count() == 0
    assert page.title() == "Code Intelligence Assistant"


def test_a_hostile_question_stays_text(page: Page) -> None:
    ask(page, "<img src=x onerror=\"document.title='pwned'\"> How is a wick trimmed?")
    expect(page.locator(".answer h2").first).to_contain_text("<img src=x")
    assert page.title() == "Code Intelligence Assistant"


@pytest.mark.parametrize("hash_of_place", ["#/lantern/x/1-2/none.py", "#/%E0%A4%A/x/1-2/a", "#/a/b/c/d", "#//evil.example/1-1/x"])
def test_a_forged_address_opens_nothing(browser: Browser, address: str, hash_of_place: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}/{hash_of_place}")
    page.wait_for_load_state("networkidle")
    assert page.locator(".row").count() == 0
    page.close()


def test_the_repositories_can_be_narrowed(page: Page) -> None:
    page.locator("#picker summary").click()
    page.locator("#repositories label", has_text="lantern").click()
    expect(page.locator("#picker-label")).to_have_text("lantern")
    page.keyboard.press("Escape")
    with page.expect_request("**/v1/ask") as request:
        ask(page, "How is a wick trimmed?")
    assert request.value.post_data_json["repos"] == ["lantern"]


def test_a_server_that_is_away_is_said_in_a_sentence(browser: Browser, indexed: Settings) -> None:
    page = browser.new_page()
    with served(indexed) as address:
        page.goto(address)
        page.wait_for_load_state("networkidle")
    page.fill("#question", "How is a wick trimmed?")
    page.keyboard.press("Enter")
    expect(page.locator(".error")).to_have_text("The server does not answer. Is it still running?")
    page.close()


def test_the_page_fits_a_phone(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(address)
    ask(page, "How is a wick trimmed?")
    page.locator(".citations a").first.click()
    expect(page.locator(".row.lit").first).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_the_api_page_works_without_a_network(page: Page, address: str) -> None:
    page.goto(f"{address}/docs")
    expect(page.locator(".opblock").first).to_be_visible(timeout=15_000)
