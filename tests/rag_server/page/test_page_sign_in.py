"""A key becomes a session; the page keeps nothing of the key, and nobody meets what another has asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.rag_server.page.conftest import Site
from tests.rag_server.page.reading import QUESTION, ask, sign_in

pytestmark = pytest.mark.browser


def holds_nothing_of(page: Page, key: str) -> bool:
    kept = page.evaluate(
        "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, history.state, location.href])"
    )
    return key not in kept and key not in page.content() and page.locator("#key").input_value() == ""


def test_a_key_signs_in_and_no_script_can_read_what_it_got(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page()
    expect(page.locator("#key")).to_be_focused()
    sign_in(page, site.key)
    expect(page.locator("#question")).to_be_focused()
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("cia_session", True, "Strict")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert holds_nothing_of(page, site.key)


def test_a_link_signs_in_and_leaves_no_key_behind(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(f"/#key={site.key}")
    expect(page.locator("#user")).not_to_be_empty()
    assert page.url == f"{site.address}/"
    assert holds_nothing_of(page, site.key)
    ask(page)
    page.reload()
    expect(page.locator(".answer")).to_have_count(1)
    assert holds_nothing_of(page, site.key)


def test_a_link_does_not_change_who_is_signed_in_without_asking(page: Page, site: Site) -> None:
    expect(page.locator("#user")).not_to_be_empty()
    user = page.locator("#user").inner_text().split(",")[0]
    page.evaluate("location.hash = '#key=cia_of_somebody_else'")
    expect(page.locator("#sign-in-reason")).to_contain_text(f"You are signed in as {user}")
    page.get_by_role("button", name="Stay signed in").click()
    expect(page.locator("#sign-in")).to_be_hidden()
    assert page.url == f"{site.address}/"


def test_a_wrong_key_gets_a_sentence_and_another_try(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page("/#key=cia_wrong")
    expect(page.locator("#sign-in-problem")).not_to_be_empty()
    assert page.url == f"{site.address}/"
    sign_in(page, site.key)


def test_signing_out_leaves_nothing_on_the_page(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(f"/#key={site.key}")
    ask(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#sign-in-reason")).to_have_text("You are signed out.")
    assert page.locator(".answer, .history-item, #repositories label").count() == 0
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#key")).to_be_visible()
    page.reload()
    expect(page.locator("#key")).to_be_focused()


def test_a_session_that_ends_loses_nothing_that_was_typed(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(f"/#key={site.key}")
    ask(page)
    page.context.clear_cookies()
    page.locator("#question").fill("Which lantern is the brightest?")
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in-reason")).to_contain_text("Your session has ended")
    sign_in(page, site.key)
    expect(page.locator("#question")).to_have_value("Which lantern is the brightest?")
    expect(page.locator(".answer")).to_have_count(1)
    page.locator("#question").press("Enter")
    expect(page.locator(".answer .facts")).to_have_count(2)


def test_the_next_user_does_not_meet_the_thread_of_the_one_before(
    open_page: Callable[..., Page], site: Site, other_key: str
) -> None:
    page = open_page(f"/#key={site.key}")
    ask(page)
    page.locator("#question").fill("a thought of the first")
    page.context.clear_cookies()
    page.locator("#question").press("Enter")
    sign_in(page, other_key)
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.locator("#question")).to_have_value("")
    expect(page.locator("#history-list")).not_to_contain_text(QUESTION)
    page.go_back()
    expect(page.locator(".answer")).to_have_count(0)
