"""``/auth/token`` and ``/auth/session``: a key traded for something that ends by itself, and ``/v1/me``: who asks."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from cia.errors import AccessError, InputError
from rag_server.access import Principal
from rag_server.access.authentication import LONGEST_CREDENTIAL, SESSION_COOKIE
from rag_server.access.same_origin import is_cross_origin
from rag_server.access.tokens import Audience
from rag_server.errors import error_document, error_reply
from rag_server.services import CurrentPrincipal, CurrentServices, Services

router = APIRouter(tags=["access"])

NO_KEY = 'send your API key as JSON, {"api_key": "cia_..."}, as a bearer, or as an OAuth2 form with the key as secret'

TOKEN_BODY = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": {"api_key": {"type": "string", "examples": ["cia_..."]}}}
            },
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "grant_type": {"enum": ["client_credentials", "password"]},
                        "client_secret": {"type": "string"},
                        "password": {"type": "string"},
                    },
                }
            },
        }
    }
}


class AccessToken(BaseModel):
    """A token to send as ``Authorization: Bearer``; it ends after ``expires_in`` seconds."""

    access_token: str
    token_type: str = "bearer"
    expires_in: int


class SignIn(BaseModel):
    """The key that signs a browser in."""

    model_config = ConfigDict(extra="forbid")

    api_key: str = Field(max_length=LONGEST_CREDENTIAL, examples=["cia_..."])


class SignedIn(BaseModel):
    """Who has signed in."""

    user: str
    admin: bool


class Me(SignedIn):
    """Who asks. ``repos`` names the repositories granted; null means every one."""

    repos: list[str] | None


@router.post("/auth/token", openapi_extra=TOKEN_BODY)
async def access_token(request: Request, response: Response, services: CurrentServices) -> AccessToken:
    """Trade an API key for a token that ends by itself (OAuth 2.0, RFC 6749, sections 4.3 and 4.4)."""
    _, token, seconds = await _exchanged(request, services, _key_in(request, await request.body()), "api")
    response.headers["Cache-Control"] = "no-store"
    return AccessToken(access_token=token, expires_in=seconds)


@router.post("/auth/session")
async def sign_in(request: Request, given: SignIn, services: CurrentServices) -> Response:
    """Sign a browser in: the page gets a cookie that its scripts cannot read, in place of the key."""
    if is_cross_origin(request.scope):
        return error_reply(403, error_document("another site's page may not sign you in here", "forbidden"))
    principal, token, seconds = await _exchanged(request, services, given.api_key, "session")
    reply = Response(SignedIn(user=principal.user, admin=principal.is_admin).model_dump_json(), media_type="application/json")
    reply.headers["Cache-Control"] = "no-store"
    secure = request.url.scheme == "https"
    reply.set_cookie(SESSION_COOKIE, token, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")
    return reply


@router.delete("/auth/session", status_code=204)
async def sign_out(_: CurrentPrincipal) -> Response:
    """Sign the browser out."""
    reply = Response(status_code=204)
    reply.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
    return reply


@router.get("/v1/me")
async def me(principal: CurrentPrincipal) -> Me:
    """Say who asks, and what that user may read."""
    repos = None if principal.grants is None else sorted(principal.grants)
    return Me(user=principal.user, admin=principal.is_admin, repos=repos)


async def _exchanged(request: Request, services: Services, api_key: str, audience: Audience) -> tuple[Principal, str, int]:
    async with services.limits.failed_logins.counted(request.scope):
        return await run_in_threadpool(services.authenticator.exchange, api_key, audience)


def _key_in(request: Request, body: bytes) -> str:
    """Return the key wherever a client may have put it. Raises AccessError when there is none, InputError for no JSON."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _checked(shown.strip())
    if scheme.lower() == "basic":
        return _checked(_password_of(shown))
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = parse_qs(body.decode("utf-8", "replace"))
        return _checked((form.get("client_secret") or form.get("password") or [""])[0])
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise InputError("the body is not valid JSON") from None
    return _checked(document.get("api_key") if isinstance(document, dict) else None)


def _password_of(shown: str) -> str:
    try:
        return base64.b64decode(shown, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _checked(key: Any) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_CREDENTIAL:
        raise AccessError(NO_KEY)
    return key
