"""Requests a minute: by user, or by address where nobody needs to say who asks."""

from __future__ import annotations

import math

from limits import RateLimitItem, RateLimitItemPerMinute
from starlette.types import ASGIApp, Receive, Scope, Send

from cia.settings import RagSettings
from rag_server.access.principal import Principal
from rag_server.errors import error_document, error_reply
from rag_server.host_check import PROBES
from rag_server.limits.client_address import client_address
from rag_server.limits.rate_store import RateStore, Spent

OPEN_REQUESTS_PER_MINUTE = 1200
"""For the page, the API's description and signing in: what a few hundred people behind one address load."""


class RequestRate:
    """ASGI middleware after the authentication: answers 429 with Retry-After when a minute's requests are spent."""

    def __init__(self, app: ASGIApp, store: RateStore, settings: RagSettings) -> None:
        self.app = app
        self.store = store
        self.of_user: RateLimitItem = RateLimitItemPerMinute(settings.rate_limit, namespace="user")
        self.of_probe: RateLimitItem = RateLimitItemPerMinute(settings.health_rate_limit, namespace="probe")
        self.of_open: RateLimitItem = RateLimitItemPerMinute(OPEN_REQUESTS_PER_MINUTE, namespace="open")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        spent = await self._hit(scope) if scope["type"] == "http" else None
        if spent is None:
            await self.app(scope, receive, send)
            return
        wait = str(max(1, math.ceil(spent.seconds)))
        document = error_document(f"{spent.item.amount} requests a minute are allowed; the next in {wait} s", "rate_limited")
        headers = {
            "Retry-After": wait,
            "RateLimit-Limit": str(spent.item.amount),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": wait,
        }
        await error_reply(429, document, headers)(scope, receive, send)

    async def _hit(self, scope: Scope) -> Spent | None:
        principal: Principal | None = scope.get("state", {}).get("principal")
        if principal is not None:
            return await self.store.hit(self.of_user, principal.user)
        if scope["path"] in PROBES:
            return await self.store.hit(self.of_probe, client_address(scope), scope["path"])
        return await self.store.hit(self.of_open, client_address(scope))
