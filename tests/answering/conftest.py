"""A small repository, really indexed, for questions that it answers and questions that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cia.retrieval import Indexer, Retriever
from cia.settings import Settings, load_settings

SHOP = {
    "shop/basket.py": '''"""The basket of one customer."""

from shop.prices import total_price


class Basket:
    """What a customer has chosen but not yet paid for."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.lines: list[tuple[str, int]] = []

    def add_article(self, article: str, quantity: int = 1) -> None:
        """Put an article into the basket."""
        if quantity < 1:
            raise ValueError("the quantity must be positive")
        self.lines.append((article, quantity))

    def checkout(self, voucher: str | None = None) -> float:
        """Return the amount to pay and empty the basket."""
        amount = total_price(self.lines, voucher)
        self.lines.clear()
        return amount
''',
    "shop/prices.py": '''"""Prices and vouchers."""

PRICES = {"apple": 0.5, "bread": 2.0}


def total_price(lines: list[tuple[str, int]], voucher: str | None) -> float:
    """Add up the prices of all lines and subtract the voucher's discount."""
    amount = sum(PRICES[article] * quantity for article, quantity in lines)
    return amount - voucher_discount(voucher, amount)


def voucher_discount(voucher: str | None, amount: float) -> float:
    """Return how much a voucher takes off an amount."""
    return 0.1 * amount if voucher == "TEN" else 0.0
''',
    "shop/mail.py": '''"""Letters to customers."""


def send_receipt(address: str, amount: float) -> str:
    """Write a receipt and hand it to the mail server."""
    return f"To: {address}\\n\\nYou paid {amount:.2f}."
''',
}


@pytest.fixture(scope="session")
def shop_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home in which the repository ``shop`` is indexed."""
    folder = tmp_path_factory.mktemp("sources") / "shop"
    for path, text in SHOP.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    home: Path = tmp_path_factory.mktemp("home")
    settings = load_settings(environment={"CIA_HOME": str(home), "CIA_MODEL__FORM": "prose"})
    Indexer(settings).index(str(folder), name="shop")
    return settings


@pytest.fixture(scope="session")
def shop(shop_settings: Settings) -> Iterator[Retriever]:
    """A retriever over ``shop``."""
    retriever = Retriever(shop_settings)
    yield retriever
    retriever.close()
