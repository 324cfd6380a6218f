"""Whether a browser sends a request on behalf of this server's own page (Fetch Metadata; RFC 6454)."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import Scope


def is_same_origin(scope: Scope) -> bool:
    """Whether the browser says so. What says nothing is not: every browser names an origin when it may change something."""
    return _said(scope) is True


def is_cross_origin(scope: Scope) -> bool:
    """Whether a browser says that another page sends this. A program, which says nothing, is no other page."""
    return _said(scope) is False


def _said(scope: Scope) -> bool | None:
    headers = HTTPConnection(scope).headers
    if (site := headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    if (origin := headers.get("origin")) is not None:
        # The scheme is left out: behind a proxy that ends TLS this server sees another one than the browser.
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    return None
