"""Bearer tokens of an OpenID Connect issuer, such as a company's sign-on, verified by the keys that it publishes."""

from __future__ import annotations

import ipaddress
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from cia.errors import AccessError, SettingsError, UnavailableError
from cia.settings import RagSettings
from rag_server.access.users import OIDC_NAME, OIDC_PREFIX

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric alone: with an HMAC the issuer's public key would be the secret (RFC 8725, section 2.1)."""

KEYS_SECONDS = 600.0
"""Published keys are asked for again after so long, so that one that was withdrawn ends."""

ASK_AGAIN_SECONDS = 5.0
"""An unknown key, or an issuer that is away, makes us ask at most this often, whatever clients send."""

TIMEOUT_SECONDS = 3.0
LEEWAY_SECONDS = 30
"""Clocks of two machines differ."""

NOT_VALID = "this token of the OIDC issuer is not valid here: it has ended, is not meant for this server, or is not the issuer's"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: the user as called here, the repositories its claim grants, and when it ends (Unix time)."""

    user: str
    repos: frozenset[str]
    ends: float


class Oidc:
    """Verifies the tokens of ``rag.oidc_issuer``. Raises SettingsError when its address is not safe to ask."""

    def __init__(self, settings: RagSettings, issuer: str, *, ask_again_seconds: float = ASK_AGAIN_SECONDS) -> None:
        _check_address(issuer)
        self.issuer = issuer
        self._settings = settings
        self._ask_again = ask_again_seconds
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._problem = ""
        self._lock = threading.Lock()

    def read(self, token: str) -> Claims:
        """Return what a valid token says. Raises AccessError for any other, UnavailableError while the issuer is away."""
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._settings.oidc_audience,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, UnicodeError, RecursionError):
            raise AccessError(NOT_VALID) from None
        return Claims(self._user(claims), self._repos(claims), float(claims["exp"]))

    def _user(self, claims: dict[str, Any]) -> str:
        name = claims.get(self._settings.oidc_user_claim)
        user = f"{OIDC_PREFIX}{name}"
        if not isinstance(name, str) or not OIDC_NAME.fullmatch(user):
            raise AccessError(f"this token's claim {self._settings.oidc_user_claim!r} (rag.oidc_user_claim) names no user")
        return user

    def _repos(self, claims: dict[str, Any]) -> frozenset[str]:
        granted = claims.get(self._settings.oidc_repos_claim) if self._settings.oidc_repos_claim else None
        return frozenset(repo for repo in granted if isinstance(repo, str)) if isinstance(granted, list) else frozenset()

    def _key(self, kid: str) -> jwt.PyJWK:
        if (key := self._fresh(kid)) is not None:
            return key
        with self._lock:  # one asks, the others wait for what it learns
            if self._fresh(kid) is None:
                self._ask()
            if (key := self._fresh(kid)) is None:
                raise jwt.InvalidTokenError("unknown kid")
            return key

    def _fresh(self, kid: str) -> jwt.PyJWK | None:
        return self._keys.get(kid) if time.monotonic() - self._fetched < KEYS_SECONDS else None

    def _ask(self) -> None:
        """Learn the published keys, unless that was tried a moment ago. Raises UnavailableError when the last try failed."""
        if time.monotonic() - self._tried >= self._ask_again:
            try:
                self._keys = self._published_keys()
                self._fetched = time.monotonic()
                self._problem = ""
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, SettingsError) as error:
                self._problem = str(error) or type(error).__name__
            self._tried = time.monotonic()
        if self._problem:
            raise UnavailableError(
                f"the OIDC issuer {self.issuer} does not answer as it should ({self._problem}); API keys still work"
            )

    def _published_keys(self) -> dict[str, jwt.PyJWK]:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            document = _json(client, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self.issuer:
                raise ValueError("its discovery document names another issuer")
            _check_address(str(document.get("jwks_uri")))
            published = _json(client, str(document["jwks_uri"])).get("keys")
        keys = published if isinstance(published, list) else []
        return {str(one["kid"]): key for one in keys if (key := _signature_key(one)) is not None}


def _json(client: httpx.Client, address: str) -> dict[str, Any]:
    reply = client.get(address)
    reply.raise_for_status()
    document = reply.json()
    if not isinstance(document, dict):
        raise ValueError(f"{address} is no JSON object")
    return document


def _signature_key(published: Any) -> jwt.PyJWK | None:
    """Return a published key that signatures may be checked with, None for any other kind."""
    if not isinstance(published, dict) or "kid" not in published or published.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(published)
    except (jwt.PyJWKError, jwt.InvalidKeyError):
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def _check_address(address: str) -> None:
    """Keys that arrive over plain HTTP are anyone's on the way: only a loopback address may go without TLS."""
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and (parts.hostname == "localhost" or _is_loopback(parts.hostname)):
        return
    raise SettingsError(f"{address!r} is no https:// address; rag.oidc_issuer and the keys that it publishes need one")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
