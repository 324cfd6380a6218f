"""Questions at once: over all, so that this process is not drowned, and by user, so that one does not take it from the others."""

from __future__ import annotations

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from cia.settings import RagSettings
from rag_server.errors import error_document, error_reply

COSTLY = frozenset({"/v1/ask", "/v1/chat/completions", "/v1/search", "/mcp"})
RETRY_AFTER_SECONDS = 1


class Concurrency:
    """ASGI middleware after the authentication. A request counts until its response has ended, or its client has left.

    Each process counts its own: what is guarded is the process.
    """

    def __init__(self, app: ASGIApp, settings: RagSettings) -> None:
        self.app = app
        self.settings = settings
        self.running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = scope.get("state", {}).get("principal")
        if scope["type"] != "http" or principal is None or scope["method"] != "POST" or scope["path"].rstrip("/") not in COSTLY:
            await self.app(scope, receive, send)
            return
        if refusal := self._refusal(principal.user):
            document = error_document(refusal, "rate_limited")
            await error_reply(429, document, {"Retry-After": str(RETRY_AFTER_SECONDS)})(scope, receive, send)
            return
        self.running[principal.user] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.running[principal.user] -= 1
            if not self.running[principal.user]:
                del self.running[principal.user]

    def _refusal(self, user: str) -> str | None:
        if self.running[user] >= self.settings.concurrent_per_user:
            return f"{self.settings.concurrent_per_user} of your questions are being answered; wait for one to end"
        if self.running.total() >= self.settings.max_concurrent:
            return "the server is answering as many questions as it can; try again in a moment"
        return None
