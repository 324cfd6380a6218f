"""A citation opens its lines, one leads to the next, and what is cited can be taken along."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from cia.retrieval import Indexer
from cia.settings import load_settings
from tests.rag_server.page.conftest import Site
from tests.rag_server.page.reading import ask
from tests.rag_server.stand_in_model import StandInModel

pytestmark = pytest.mark.browser


def test_a_citation_opens_at_its_lines(page: Page) -> None:
    ask(page)
    citation = page.locator(".answer-body .citation").first
    start, end = map(int, re.findall(r"\d+", citation.inner_text().rpartition(":")[2]))
    citation.click()
    lit = page.locator(".row.lit")
    expect(lit).to_have_count(end - start + 1)
    expect(lit.first).to_have_attribute("data-line", str(start))
    expect(lit.first).to_be_in_viewport()
    assert "def trim" in "".join(lit.all_inner_texts())


def test_escape_closes_the_source_and_the_address_opens_it_again(page: Page) -> None:
    ask(page)
    link = page.locator(".citations a").first
    link.click()
    expect(page.locator("#source")).to_be_visible()
    shared = page.url
    page.keyboard.press("Escape")
    expect(page.locator("#source")).to_be_hidden()
    expect(link).to_be_focused()
    assert "#" not in page.url
    page.goto(shared)
    expect(page.locator(".row.lit").first).to_be_visible()
    page.reload()
    expect(page.locator(".row.lit").first).to_be_visible()
    expect(page.locator(".answer")).to_have_count(1)


def test_j_and_k_go_from_citation_to_citation(page: Page, model: StandInModel) -> None:
    model.says = "A wick is trimmed [1]. A banner is hostile [2]. A lantern burns oil [3]."
    ask(page)
    places = [link.get_attribute("href") for link in page.locator(".citations a").all()]
    assert len(places) >= 2
    page.keyboard.press("Escape")
    for key, place in (("j", 0), ("j", 1), ("k", 0), ("k", -1)):
        page.keyboard.press(key)
        expect(page.locator(".citations a[aria-current]")).to_have_attribute("href", places[place] or "")
        expect(page.locator(".row.lit").first).to_be_in_viewport()
    expect(page.locator("#step-count")).to_have_text(f"{len(places)} of {len(places)}")
    page.get_by_role("button", name="Next citation").click()
    expect(page.locator("#step-count")).to_have_text(f"1 of {len(places)}")


def test_a_place_and_a_code_block_can_be_copied(page: Page, model: StandInModel) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    model.says = "So [1]:\n\n```python\nwick.trim(3)\n```\n"
    ask(page)
    page.locator(".code-block").hover()
    page.get_by_role("button", name="Copy this code").click()
    assert page.evaluate("navigator.clipboard.readText()") == "wick.trim(3)"
    page.locator(".citation").first.click()
    copy = page.locator("#copy-place")
    copy.click()
    expect(copy).to_have_text("Copied")
    assert re.fullmatch(r"src/wick\.py:\d+-\d+", page.evaluate("navigator.clipboard.readText()"))


def test_a_citation_of_a_commit_that_is_gone_says_so_and_offers_the_newest(page: Page, site: Site, tmp_path: Path) -> None:
    harbour = tmp_path / "harbour"
    harbour.mkdir()
    (harbour / "crane.py").write_text("def hoist_the_crane(load: int) -> int:\n    return load * 2\n")
    settings = load_settings(environment={"CIA_HOME": str(site.home)})
    before = Indexer(settings).index(str(harbour)).commit
    (harbour / "crane.py").write_text("# moved\n" * 5 + "def hoist_the_crane(load: int) -> int:\n    return load * 3\n")
    Indexer(settings).index(str(harbour))
    page.goto(f"{site.address}/#/harbour/{before}/1-2/crane.py")
    page.reload()
    expect(page.locator("#source-place")).to_contain_text("older than the index")
    expect(page.locator("#source .error")).to_contain_text("harbour")
    page.get_by_role("button", name="Show these lines").click()
    expect(page.locator(".row.lit")).to_have_count(2)
    expect(page.locator("#source-place")).not_to_contain_text("older")


@pytest.mark.parametrize(
    "place", ["/lantern/x/1-2/none.py", "/%E0%A4%A/x/1-2/a", "/a/b/c/d", "//evil.example/1-1/x", "/..%2f..%2fme/x/1-2/a"]
)
def test_a_forged_address_opens_nothing(open_page: Callable[..., Page], signed_in: BrowserContext, place: str) -> None:
    page = open_page(f"/#{place}", context=signed_in)
    page.wait_for_load_state("networkidle")
    assert page.locator(".row").count() == 0
