"""A browser, a server with a model under the test's control, and a page that may do nothing it should not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from benchmarks.page_screenshot import CHROMIUM_ARGUMENTS
from cia.settings import Settings
from tests.rag_server.page.reading import add_user, sign_in
from tests.rag_server.running_server import served
from tests.rag_server.stand_in_model import StandInModel, running_stand_in

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SAYS = "A wick is trimmed by Wick.trim [1]. It never grows shorter than nothing."
ADMIN_KEY = "cia_admin_for_the_tests_of_the_page_0123456789abcdef"


@dataclass(frozen=True)
class Site:
    """A running server: its address, its administrator's key, and its home."""

    address: str
    key: str
    home: Path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a file of tests: while it runs, Playwright's event loop does, and no test beside it can have its own."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site_model() -> Iterator[StandInModel]:
    with running_stand_in() as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def site(indexed: Settings, site_model: StandInModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for all tests of the page, over a copy of the index: they ask far more than a person does in a minute."""
    home = tmp_path_factory.mktemp("site") / "home"
    shutil.copytree(indexed.home, home)
    variables = {
        "CIA_ADMIN_KEY": ADMIN_KEY,
        "CIA_RAG__RATE_LIMIT": "100000",
        "CIA_MODEL__BASE_URL": site_model.base_url,
        "CIA_MODEL__FORM": "prose",
        "CIA_ANSWERING__USE_BASE_MODEL": "true",
    }
    with served(indexed.model_copy(update={"home": home}), **variables) as address:
        yield Site(address, ADMIN_KEY, home)


@pytest.fixture(scope="session")
def other_key(site: Site) -> str:
    """The key of another user."""
    return add_user(site.home, "bob")


@pytest.fixture
def model(site_model: StandInModel) -> StandInModel:
    """The model behind the site, saying what it says by default."""
    site_model.says, site_model.pause_seconds = SAYS, 0.0
    site_model.hung_up.clear()
    return site_model


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """A browser in which someone has signed in, and which has the page's files by now."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.address)
    sign_in(page, site.key)
    page.close()
    yield context
    context.close()


@pytest.fixture
def open_page(browser: Browser, site: Site, model: StandInModel) -> Iterator[Callable[..., Page]]:
    """Open the page, by default in a browser of its own. Whatever it loads from elsewhere, and every error, fails the test."""
    wrong: list[str] = []
    opened: list[BrowserContext | Page] = []

    def watched(path: str = "/", context: BrowserContext | None = None, **options: Any) -> Page:
        if context is None:
            opened.append(context := browser.new_context(**options))
        page = context.new_page()
        opened.append(page)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: wrong.append(message.text) if _is_error(message.type, message.text) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith(site.address) else None)
        page.goto(site.address + path)
        return page

    yield watched
    for one in reversed(opened):
        one.close()
    assert wrong == []


@pytest.fixture
def page(open_page: Callable[..., Page], signed_in: BrowserContext) -> Iterator[Page]:
    """The page, freshly opened by someone who is signed in."""
    page = open_page(context=signed_in)
    expect(page.locator("body")).to_have_attribute("data-session", "signed-in")
    yield page
    signed_in.set_offline(False)
    page.evaluate("localStorage.clear()")


def _is_error(kind: str, text: str) -> bool:
    return kind == "error" and not text.startswith("Failed to load resource")  # a 4xx or 5xx, which tests bring about
