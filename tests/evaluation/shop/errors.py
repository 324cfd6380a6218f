"""What can go wrong in the shop."""


class ShopError(Exception):
    """The parent of all errors of the shop."""


class OutOfStockError(ShopError):
    """Not enough pieces are left."""


class EmptyCartError(ShopError):
    """There is nothing in the cart."""


class PaymentDeclined(ShopError):
    """The bank refused the charge."""


class ProviderDown(ShopError):
    """The payment provider does not answer."""
