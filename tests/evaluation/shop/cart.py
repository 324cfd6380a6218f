"""The shopping cart."""

from shop.errors import EmptyCartError, OutOfStockError
from shop.pricing import apply_discount, total_with_tax

MAX_ITEMS = 50


class Cart:
    """Items that a customer means to buy."""

    def __init__(self, stock, currency="EUR"):
        self.stock = stock
        self.currency = currency
        self.items = {}

    def add(self, sku, quantity=1):
        """Put an item into the cart.

        Raises OutOfStockError when the stock holds fewer pieces than asked for.
        """
        if self.stock.available(sku) < quantity:
            raise OutOfStockError(sku)
        if len(self.items) >= MAX_ITEMS:
            raise ValueError("the cart is full")
        self.items[sku] = self.items.get(sku, 0) + quantity

    def remove(self, sku):
        """Take an item out of the cart. Unknown items are ignored."""
        self.items.pop(sku, None)

    def checkout(self, payment, coupon=None):
        """Reserve the items, charge the customer and return the receipt number.

        The reservation is released again when the payment fails.
        """
        if not self.items:
            raise EmptyCartError("nothing to check out")
        amount = apply_discount(self.subtotal(), coupon)
        reservation = self.stock.reserve(self.items)
        try:
            return payment.charge(total_with_tax(amount), self.currency)
        except Exception:
            self.stock.release(reservation)
            raise

    def subtotal(self):
        return sum(self.stock.price(sku) * count for sku, count in self.items.items())
