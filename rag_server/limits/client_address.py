"""Where a request comes from, as far as limits go."""

from __future__ import annotations

import ipaddress

from starlette.types import Scope

NEIGHBOURHOOD = 64
"""Bits of an IPv6 address that name a site: whoever has one has all the others below it (RFC 6177)."""


def client_address(scope: Scope) -> str:
    """Return the client's address, of an IPv6 one the network. Behind a proxy uvicorn puts the client's own here
    (``FORWARDED_ALLOW_IPS`` names the proxies that it believes)."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, NEIGHBOURHOOD), strict=False))
