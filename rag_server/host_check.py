"""Requests for another host are refused, so that a web page cannot reach this server under its own name (DNS rebinding)."""

from __future__ import annotations

import ipaddress

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from cia.settings import RagSettings
from rag_server.errors import error_document, error_reply

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Kubernetes and Prometheus ask by a pod's address; what they are told is nobody's secret."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
ANY = ("*",)


class HostCheck:
    """ASGI middleware: answers 421 (RFC 9110, section 15.5.20) unless the Host is one of ours.

    ``rag.allowed_hosts`` names them, ``*.example.com`` for every name below one; unset, a server on a loopback address answers
    to the loopback's names and any other one to every name.
    """

    def __init__(self, app: ASGIApp, settings: RagSettings) -> None:
        self.app = app
        self.allowed = tuple(host.lower() for host in settings.allowed_hosts or _own_names(settings.host))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES or self._is_ours(HTTPConnection(scope).headers.get("host", "")):
            await self.app(scope, receive, send)
            return
        document = error_document(
            "this server does not answer to that host name; rag.allowed_hosts lists those it does", "wrong_host"
        )
        await error_reply(421, document)(scope, receive, send)

    def _is_ours(self, header: str) -> bool:
        host = _without_port(header.lower())
        return any(one == "*" or host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in self.allowed)


def _own_names(host: str) -> tuple[str, ...]:
    return (*LOOPBACK_NAMES, host) if _is_loopback(host) else ANY


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (":" not in name or name.endswith("]")) else host
