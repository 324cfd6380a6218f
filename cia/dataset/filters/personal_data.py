"""Personal data in a text, as far as patterns find it.

Found are e-mail addresses, telephone numbers in the international form (+49 170 ...), account numbers (IBAN) and payment
cards whose check digits hold. Not found are names, postal addresses, and telephone numbers in a national form: in code too
many numbers look like one. Who needs those found puts a recogniser of names in front.
"""

from __future__ import annotations

import re

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?P<domain>(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})(?![\w-])", re.IGNORECASE)
_RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org)|example|test|invalid|localhost|local)$", re.IGNORECASE)
"""Domains that are nobody's (RFC 2606, RFC 6762)."""

_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d){9,15}(?![\w.-])")


def personal_data(text: str) -> str:
    """Return what kind of personal data ``text`` holds: ``e-mail``, ``IBAN``, ``card`` or ``telephone``; "" for none."""
    if any(not _RESERVED.search(found["domain"]) for found in _EMAIL.finditer(text)):
        return "e-mail"
    if any(_is_iban(found.group()) for found in _IBAN.finditer(text)):
        return "IBAN"
    if any(_is_card(found.group()) for found in _CARD.finditer(text)):
        return "card"
    return "telephone" if _holds_telephone(text) else ""


def _is_iban(written: str) -> bool:
    """Whether the remainder modulo 97 is 1 (ISO 13616), which it is by chance for one in 97."""
    number = written.replace(" ", "")
    return 15 <= len(number) <= 34 and int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97 == 1


def _is_card(written: str) -> bool:
    """Whether the check digit holds (Luhn, ISO/IEC 7812-1), which it does by chance for one in ten."""
    digits = [int(sign) for sign in written if sign.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _holds_telephone(text: str) -> bool:
    if not re.search(r"\+\s?\d", text):
        return False
    import phonenumbers

    return any(True for _ in phonenumbers.PhoneNumberMatcher(text, None))
