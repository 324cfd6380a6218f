"""What a caller is told when something goes wrong: one sentence and a kind, never a stack trace."""

from __future__ import annotations

import math

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cia.errors import AccessError, BusyError, CiaError, InputError, LimitError, NotIndexedError, UnavailableError

RETRY_AFTER_SECONDS = 5

STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (NotIndexedError, 404, "not_indexed"),
    (InputError, 422, "invalid_request"),
    (AccessError, 401, "unauthorized"),
    (LimitError, 429, "rate_limited"),
    (BusyError, 503, "busy"),
    (UnavailableError, 503, "unavailable"),
    (CiaError, 500, "failed"),
)
"""The first row that fits an exception gives its HTTP status and kind."""

UNEXPECTED = "something went wrong here; the log has the cause under this request's id"


def error_document(message: str, kind: str) -> dict[str, dict[str, str]]:
    """Return the one JSON shape of every error."""
    return {"error": {"message": message, "type": kind}}


def describe(error: Exception) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the HTTP status and the document for ``error``; what is not ours is not quoted."""
    for kind, status, name in STATUS:
        if isinstance(error, kind):
            return status, error_document(str(error), name)
    return 500, error_document(UNEXPECTED, "unexpected")


def headers_of(error: Exception) -> dict[str, str]:
    """Return the headers that tell a client what to do about ``error`` (RFC 9110, sections 10.2.3 and 11.6.1)."""
    if isinstance(error, LimitError):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, AccessError) else {}


def install_error_handlers(app: FastAPI) -> None:
    """Make ``app`` answer every error in the one shape."""

    @app.exception_handler(CiaError)
    async def on_known(_: Request, error: CiaError) -> JSONResponse:
        status, document = describe(error)
        return error_reply(status, document, headers_of(error))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return error_reply(422, error_document(first_mistake(error), "invalid_request"))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        message = {
            404: f"there is nothing at {request.url.path}; see /docs",
            405: f"{request.method} is not possible at {request.url.path}; see /docs",
        }.get(error.status_code, str(error.detail))
        return error_reply(error.status_code, error_document(message, "http"), dict(error.headers or {}))


def error_reply(status: int, document: dict[str, dict[str, str]], headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the reply; a 503 says when to come back."""
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    return JSONResponse(document, status, headers=retry | (headers or {}))


def first_mistake(error: RequestValidationError) -> str:
    """Return what is wrong with a request's fields, in a sentence."""
    mistake = error.errors()[0]
    where = ".".join(str(part) for part in mistake["loc"] if part not in ("body", "query", "path"))
    if mistake["type"] == "json_invalid":
        return "the body is not valid JSON"
    if mistake["type"] == "extra_forbidden":
        return f"unknown field {where!r}; see /docs for the fields"
    return f"{where or 'the body'}: {mistake['msg'][0].lower()}{mistake['msg'][1:]}"
