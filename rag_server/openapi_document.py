"""The OpenAPI document: what the routes say of themselves, and what may be answered in their stead.

Middlewares and error handlers answer for every route; FastAPI knows of neither, and describes its own errors instead.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from rag_server.access.authentication import OPEN_PATHS, SESSION_COOKIE
from rag_server.host_check import PROBES

ERROR = {
    "type": "object",
    "description": "One sentence on what was wrong and what to do, and its kind.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "In OpenAI's routes: the field that was wrong."},
                "code": {"type": ["string", "null"], "description": "In OpenAI's routes: the error's code."},
            },
        }
    },
}

MEANINGS = {
    400: "The request cannot be read, or asks for what there is not.",
    401: "Nobody is known by this credential, or there is none.",
    403: "A page of another site may not do this.",
    404: "There is no such thing, or none that you may read.",
    413: "The body is too large.",
    421: "This server does not answer to that host name.",
    422: "A field is wrong.",
    429: "A limit is spent; Retry-After says for how many seconds.",
    500: "It went wrong here; the log has the cause under the request's id.",
    503: "Something that this needs is away or busy; Retry-After says when to try again.",
}
HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"schema": {"type": "integer"}}},
    503: {"Retry-After": {"schema": {"type": "integer"}}},
}

OTHER_TYPES = {
    ("/v1/ask", "post"): "text/event-stream",
    ("/v1/chat/completions", "post"): "text/event-stream",
    ("/metrics", "get"): "text/plain",
}
"""What a route answers besides JSON."""

EVENT = {"type": "object", "properties": {"event": {"type": "string"}, "data": {"type": "string"}}}

CREDENTIALS = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a token in its place."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "What the page gets when it signs in."},
}


def complete_document(app: FastAPI) -> None:
    """Make ``app`` describe errors, credentials and streams in its OpenAPI document."""
    generate = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    for of_fastapi in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(of_fastapi, None)
    components["schemas"]["Error"] = ERROR
    components["securitySchemes"] = CREDENTIALS
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            responses |= {str(status): _error(status) for status in _statuses(method, operation)}
            if kind := OTHER_TYPES.get((path, method)):
                responses["200"].setdefault("content", {})[kind] = {"schema": EVENT if "event" in kind else {"type": "string"}}
            if not (path in OPEN_PATHS | PROBES or (path, method) == ("/auth/session", "post")):
                operation["security"] = [{name: []} for name in CREDENTIALS]
    return document


def _statuses(method: str, operation: dict[str, Any]) -> set[int]:
    statuses = {401, 421, 429, 500, 503}
    if method != "get":
        statuses |= {403}
    if "requestBody" in operation:
        statuses |= {400, 404, 413, 422}
    if "parameters" in operation:
        statuses |= {404, 422}
    return statuses


def _error(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": MEANINGS[status], "content": content} | ({"headers": HEADERS[status]} if status in HEADERS else {})
