"""Prices are integers in cents, never floats."""

TAX_RATE = 0.19

COUPONS = {"WELCOME10": 10, "FRIENDS25": 25}


def apply_discount(amount, coupon=None):
    """Return the amount less the coupon's percentage. An unknown coupon changes nothing."""
    percent = COUPONS.get(coupon, 0)
    return amount - amount * percent // 100


def total_with_tax(amount, rate=TAX_RATE):
    """Return the amount with tax, rounded to a whole cent."""
    return round(amount * (1 + rate))


def format_price(amount, currency):
    """Return a price for display, such as 12.50 EUR."""
    return f"{amount // 100}.{amount % 100:02d} {currency}"
