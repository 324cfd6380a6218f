"""Every request leaves a line in the log, a count in the metrics, and carries its id and the security headers home.

The log says who asked and how it went, never what: it holds no question, answer or header.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
import uuid
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_server.errors import describe, error_reply
from rag_server.metrics import Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CLIENT_GONE = 499
"""The code under which a request is counted whose client left before the answer (nginx's convention)."""

ROUTINE = frozenset({"/healthz", "/readyz", "/metrics", "/model/info", "/page/*", "/docs/assets/*"})
"""Asked every few seconds, or by every page view: logged only when it goes wrong."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = PAGE_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI sets style attributes; it still loads and runs nothing from elsewhere."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def json_log() -> Any:
    """Return a logger that writes one JSON document a line to stderr, with the time in UTC."""
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


class RequestRecord:
    """ASGI middleware, the outermost: it also turns what nothing else caught into a clean 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics, log: Any) -> None:
        self.app = app
        self.metrics = metrics
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _given_id(scope) or uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        begun = time.perf_counter()
        status = CLIENT_GONE
        failure: dict[str, str] = {}

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["Content-Security-Policy"] = DOCS_POLICY if scope["path"].startswith("/docs") else PAGE_POLICY
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            failure = {"error": type(error).__name__, "trace": traceback.format_exc()}
            if status == CLIENT_GONE:
                await error_reply(*describe(error))(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - begun
            route = _route(scope)
            self.metrics.request(route, status, seconds)
            write = self.log.error if failure else self.log.debug if route in ROUTINE and status < 400 else self.log.info
            write(
                "request",
                request_id=request_id,
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
                **_who(scope),
                **failure,
            )


def _who(scope: Scope) -> dict[str, str]:
    principal = scope["state"].get("principal")
    return {"user": principal.user} if principal else {}


def _route(scope: Scope) -> str:
    """The route's template; a mounted folder's prefix; or "unmatched", so that a scanner cannot fill the metrics."""
    if "route" in scope:
        return str(scope["route"].path_format)
    return f"{scope['root_path']}/*" if scope.get("root_path") and "endpoint" in scope else "unmatched"


def _given_id(scope: Scope) -> str | None:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else None
