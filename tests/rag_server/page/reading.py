"""What a reader of the page does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

QUESTION = "How is a wick trimmed?"


def add_user(home: Path, name: str) -> str:
    """Add a user who may read everything, and return the key."""
    command = [sys.executable, "-m", "cli.main", "users", "add", name, "--repo", "*"]
    said = subprocess.run(command, env={**os.environ, "CIA_HOME": str(home)}, capture_output=True, text=True, check=True).stdout
    return re.findall(r"cia_[\w-]+", said)[0]


def sign_in(page: Page, key: str) -> None:
    page.locator("#key").fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in")).to_be_hidden()


def ask(page: Page, question: str = QUESTION) -> None:
    """Type a question and wait for the whole answer."""
    before = page.locator(".answer .facts").count()
    page.locator("#question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".answer .facts")).to_have_count(before + 1)


def unchanged(page: Page) -> bool:
    """Whether nothing ran that would have changed the title, which every hostile text here tries."""
    return page.title() == "Code Intelligence Assistant"
