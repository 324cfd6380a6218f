"""Takes the README's pictures of the web page: asks a question and goes on from the answer, in three windows.

    python -m benchmarks.page_screenshot [--home .cia] [--question "..."] [--output docs]

The home must hold an index (``cia index SOURCE``). Needs Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cia.settings import Settings, load_settings
from cli.running_server import key_of_user, running_server

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHOTOGRAPHER = "photographer"
WINDOWS = {
    "page.png": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "page-dark.png": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "page-phone.png": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
EARLIER = (["How are redirects followed?"], ["Where are command line options parsed?"], ["How long is a connection kept alive?"])


def main() -> None:
    """Write the pictures and print their paths."""
    options = _options()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no chromium on the PATH; on Debian: apt-get install chromium")
    options.output.mkdir(parents=True, exist_ok=True)
    settings = load_settings(environment={**os.environ, "CIA_HOME": str(options.home)})
    with running_server(settings) as server, _signed_in(settings, server.address) as link:
        for path in _photograph(link, chromium, options):
            print(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=load_settings().home)
    parser.add_argument("--question", default="How is basic authentication done?")
    parser.add_argument("--follow-up", default="How does it build the header?")
    parser.add_argument("--output", type=Path, default=Path("docs"))
    return parser.parse_args()


@contextmanager
def _signed_in(settings: Settings, address: str) -> Iterator[str]:
    """Yield a link that signs a photographer in, who is gone again afterwards."""
    from rag_server.access.users import Users
    from rag_server.database import Database

    key = key_of_user(settings, PHOTOGRAPHER)
    try:
        yield f"{address}/#key={key}"
    finally:
        with closing(Database(settings)) as database:
            Users(database).revoke(PHOTOGRAPHER)


def _photograph(link: str, chromium: str, options: argparse.Namespace) -> Iterator[Path]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        for name, window in WINDOWS.items():
            page = browser.new_page(**window, device_scale_factor=2)
            page.goto(link)
            page.wait_for_selector("body[data-session=signed-in]")
            for conversation in (*EARLIER, [options.question, options.follow_up]):
                page.keyboard.press("Escape")
                page.keyboard.press("n")
                for question in conversation:
                    _ask(page, question)
            POSES[name](page)
            page.wait_for_timeout(400)  # a panel slides in
            page.screenshot(path=options.output / name)
            page.evaluate("fetch('/v1/conversations', {method: 'DELETE'})")
            page.close()
            yield options.output / name
        browser.close()


def _ask(page: Page, question: str) -> None:
    page.fill("#question", question)
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer:last-child :is(.facts, .error)", timeout=120_000)
    if page.locator(".answer .error").count():
        sys.exit(page.inner_text(".answer .error"))


def _read_a_citation(page: Page) -> None:
    page.click(".answer:last-child .citation >> nth=1")
    page.wait_for_selector(".row.lit")


def _rate_the_answer(page: Page) -> None:
    page.click(".answer:last-child .feedback .tool >> nth=0")
    page.wait_for_selector("[aria-pressed=true]")
    page.keyboard.press("Escape")
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")


def _stay(page: Page) -> None:
    page.keyboard.press("Escape")


POSES = {"page.png": _read_a_citation, "page-dark.png": _rate_the_answer, "page-phone.png": _stay}


if __name__ == "__main__":
    main()
