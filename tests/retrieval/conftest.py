"""A small repository to index, and settings whose state lies in a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cia.settings import Settings

FILES = {
    "shop/cart.py": '''\
"""The shopping cart."""

from shop.prices import total_price


class Cart:
    def __init__(self, owner):
        self.owner = owner
        self.items = []

    def add(self, item, quantity=1):
        if quantity < 1:
            raise ValueError("quantity must be positive")
        self.items.append((item, quantity))

    def total(self):
        return total_price(self.items)
''',
    "shop/prices.py": """\
def total_price(items):
    return sum(price_of(item) * quantity for item, quantity in items)


def price_of(item):
    return item.price


def apply_discount(amount, percentage):
    return amount * (100 - percentage) / 100
""",
    "shop/users.py": """\
class User:
    def __init__(self, name, password_hash):
        self.name = name
        self.password_hash = password_hash

    def check_password(self, password):
        return hash_password(password) == self.password_hash


def hash_password(password):
    return password[::-1]
""",
    "tests/test_cart.py": """\
from shop.cart import Cart


def test_adding_an_item_with_a_negative_quantity_fails():
    cart = Cart("me")
    try:
        cart.add("apple", quantity=-1)
    except ValueError:
        return
    raise AssertionError
""",
    "web/cart.js": """\
export function renderCart(cart) {
  return cart.items.map((item) => item.name).join(", ");
}
""",
    "README.md": "# Shop\n\nA shop with a cart.\n\n## Discounts\n\nDiscounts are applied at the checkout.\n",
}


def write_files(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_files(tmp_path / "shop-source", FILES)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")
