"""Nothing is answered before it is known who asks, except what lies open on purpose."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from cia.errors import AccessError, CiaError
from rag_server.access.authenticator import Authenticator, Credential
from rag_server.access.principal import Principal
from rag_server.access.same_origin import is_same_origin
from rag_server.errors import describe, error_document, error_reply, headers_of
from rag_server.host_check import PROBES
from rag_server.limits.failed_logins import FailedLogins

SESSION_COOKIE = "cia_session"

OPEN_PATHS = frozenset({"/", "/docs", "/openapi.json", "/auth/token"})
OPEN_FOLDERS = ("/page/", "/docs/")
"""The page and the API's description hold nothing of anybody; probes and scrapers have no user."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_CREDENTIAL = 8192
NO_CREDENTIAL = (
    "this needs an API key or a token: send `Authorization: Bearer KEY`; an administrator makes one with `cia users add`"
)
FOREIGN_PAGE = (
    "a signed-in browser may change something only from this server's own page; programs send `Authorization: Bearer KEY`"
)


class Authentication:
    """ASGI middleware: puts the Principal into ``scope["state"]["principal"]``, or answers 401. Denies by default."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, failed_logins: FailedLogins) -> None:
        self.app = app
        self.authenticator = authenticator
        self.failed_logins = failed_logins
        # Threads of its own: neither slow answers nor a slow issuer keep a request from being recognised.
        self._threads = CapacityLimiter(16)
        self._issuer_threads = CapacityLimiter(8)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and is_open(scope)):
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks over a web socket
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            credential = shown_credential(scope)
            if credential.place == "session" and scope["method"] not in READING and not is_same_origin(scope):
                await error_reply(403, error_document(FOREIGN_PAGE, "forbidden"))(scope, receive, send)
                return
            principal = self.authenticator.remembered(credential) or await self._identify(credential, scope)
        except CiaError as error:
            status, document = describe(error)
            await error_reply(status, document, headers_of(error))(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self.app(scope, receive, send)

    async def _identify(self, credential: Credential, scope: Scope) -> Principal:
        threads = self._issuer_threads if self.authenticator.asks_an_issuer(credential) else self._threads
        # Others who guess from the same address do not shut out who has been known for a while.
        is_guess = self.authenticator.may_be_a_guess(credential)
        async with self.failed_logins.counted(scope) if is_guess else contextlib.nullcontext():
            return await anyio.to_thread.run_sync(self.authenticator.identify, credential, limiter=threads)


def is_open(scope: Scope) -> bool:
    """Whether ``scope`` asks for something that needs no credential. A probe that shows one counts as its user's request."""
    path: str = scope["path"]
    if path in PROBES:
        return not any(name in (b"authorization", b"x-api-key") for name, _ in scope["headers"])
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS) or (path == "/auth/session" and scope["method"] == "POST")


def shown_credential(scope: Scope) -> Credential:
    """Return the credential of a request: a header goes before the cookie. Raises AccessError when there is none."""
    headers = HTTPConnection(scope).headers
    text: Any = None
    if "authorization" in headers:
        scheme, _, text = headers["authorization"].strip().partition(" ")
        if scheme.lower() != "bearer":
            raise AccessError(NO_CREDENTIAL)
    elif "x-api-key" in headers:
        text = headers["x-api-key"]
    if text is not None:
        return _checked(Credential(text.strip()))
    session = cookie_parser(headers.get("cookie", "")).get(SESSION_COOKIE)
    return _checked(Credential(session or "", "session"))


def _checked(credential: Credential) -> Credential:
    if not 0 < len(credential.text) <= LONGEST_CREDENTIAL:
        raise AccessError(NO_CREDENTIAL)
    return credential
