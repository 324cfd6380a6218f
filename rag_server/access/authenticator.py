"""Whose a credential is: API keys, our own tokens, and the tokens of an OIDC issuer, behind one question."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import jwt

from cia.errors import AccessError
from cia.settings import Settings
from rag_server.access.api_keys import ApiKeys
from rag_server.access.oidc import Oidc
from rag_server.access.principal import Principal
from rag_server.access.tokens import ISSUER, NOT_VALID, Audience, Tokens
from rag_server.access.users import EVERY_REPOSITORY, User, Users
from rag_server.database import Database

BELIEVED_SECONDS = 1.0
"""How long a credential that was found good is believed: so long a revocation or a changed grant may take."""

REMEMBERED_CREDENTIALS = 10_000


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request shows. ``place`` is "bearer" for a header, "session" for the page's cookie."""

    text: str
    place: Literal["bearer", "session"] = "bearer"


class Authenticator:
    """Answers whose a credential is. ``identify`` may block; ``remembered`` never does."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.users = Users(database)
        self.tokens = Tokens(database, settings.rag)
        self._keys = ApiKeys(self.users)
        self._oidc = Oidc(settings.rag, settings.rag.oidc_issuer) if settings.rag.oidc_issuer else None
        self._believed: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, credential: Credential) -> Principal | None:
        """Return whose ``credential`` is when that was found out within the last second, else None."""
        with self._lock:
            principal, until = self._believed.get(_digest(credential), (None, 0.0))
        return principal if time.monotonic() < until else None

    def may_be_a_guess(self, credential: Credential) -> bool:
        """Whether ``credential`` may be somebody's try at a key: not a token, nor a key that was good when last looked at.

        A token is not tried out, it ends: a program that goes on with one for a moment must not lose its way back in.
        """
        if credential.place == "session" or _issuer(credential.text) is not None:
            return False
        with self._lock:
            return _digest(credential) not in self._believed

    def identify(self, credential: Credential) -> Principal:
        """Return whose ``credential`` is. Raises AccessError, and UnavailableError while an issuer or the database is away."""
        begun = time.monotonic()
        try:
            principal, ends = self._identify(credential)
        except AccessError:
            with self._lock:
                self._believed.pop(_digest(credential), None)
            raise
        until = begun + min(BELIEVED_SECONDS, ends - time.time())
        with self._lock:
            self._believed[_digest(credential)] = (principal, until)
            self._believed.move_to_end(_digest(credential))
            while len(self._believed) > REMEMBERED_CREDENTIALS:
                self._believed.popitem(last=False)
        return principal

    def exchange(self, api_key: str, audience: Audience) -> tuple[Principal, str, int]:
        """Return the user of ``api_key``, a token in its place, and the token's life in seconds. Raises AccessError."""
        user, key_id = self._keys.verify(api_key)
        token, seconds = self.tokens.sign(user.name, key_id, audience)
        return user.principal(), token, seconds

    def asks_an_issuer(self, credential: Credential) -> bool:
        """Whether a neighbour may have to be asked about ``credential``, which can take seconds."""
        return self._oidc is not None and _issuer(credential.text) == self._oidc.issuer

    def _identify(self, credential: Credential) -> tuple[Principal, float]:
        if credential.place == "session":
            return self._of_token(credential.text, "session")
        issuer = _issuer(credential.text)
        if issuer is None:
            return self._keys.verify(credential.text)[0].principal(), float("inf")
        if issuer == ISSUER:
            return self._of_token(credential.text, "api")
        if self._oidc is not None and issuer == self._oidc.issuer:
            return self._of_issuer(self._oidc, credential.text)
        raise AccessError(NOT_VALID)

    def _of_token(self, token: str, audience: Audience) -> tuple[Principal, float]:
        claims = self.tokens.read(token, audience)
        found = self.users.of_key(str(claims.get("key")))
        if found is None or found[0].name != claims["sub"] or found[0].revoked is not None:
            raise AccessError(NOT_VALID)
        return found[0].principal(), float(claims["exp"])

    def _of_issuer(self, oidc: Oidc, token: str) -> tuple[Principal, float]:
        claims = oidc.read(token)
        known = self.users.find(claims.user)
        if known is not None and known.revoked is not None:
            raise AccessError(f"{claims.user} was revoked here; an administrator adds it again with `cia users add`")
        return _with_claimed(known, claims.user, claims.repos), claims.ends


def _with_claimed(known: User | None, name: str, claimed: frozenset[str]) -> Principal:
    granted = claimed | (known.repos if known else frozenset())
    is_admin = known is not None and known.is_admin
    return Principal(name, None if is_admin or EVERY_REPOSITORY in granted else granted, is_admin)


def _issuer(text: str) -> str | None:
    """Return whom a JWT says it is from, unverified; None for what is no JWT."""
    if text.count(".") != 2:
        return None
    try:
        claims = jwt.decode(text, options={"verify_signature": False})
    except (jwt.PyJWTError, UnicodeError, RecursionError):
        return None
    return str(claims.get("iss", ""))


def _digest(credential: Credential) -> bytes:
    return hashlib.sha256(f"{credential.place}:{credential.text}".encode()).digest()
