"""What lies in the warehouse."""

import threading
import uuid


class Stock:
    """Counts of items, safe to use from several threads."""

    def __init__(self, counts, prices):
        self._lock = threading.Lock()
        self._counts = dict(counts)
        self._prices = dict(prices)
        self._reserved = {}

    def available(self, sku):
        """Return how many pieces of an item can be sold; 0 for an unknown one."""
        with self._lock:
            return self._counts.get(sku, 0)

    def price(self, sku):
        """Return the price in cents. Raises KeyError for an unknown item."""
        return self._prices[sku]

    def reserve(self, items):
        """Set the items aside and return the id of the reservation."""
        with self._lock:
            for sku, count in items.items():
                self._counts[sku] -= count
            reservation = uuid.uuid4().hex
            self._reserved[reservation] = dict(items)
            return reservation

    def release(self, reservation):
        """Put reserved items back. A reservation is released only once."""
        with self._lock:
            for sku, count in self._reserved.pop(reservation, {}).items():
                self._counts[sku] += count
