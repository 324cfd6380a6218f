"""Tokens that this server signs: short-lived ones for programs, and the session of a signed-in page (JWT, RFC 7519)."""

from __future__ import annotations

import datetime
import secrets
import time
from typing import Any, Literal

import jwt
from sqlalchemy import Column, DateTime, LargeBinary, String, Table, delete, insert, select, update

from cia.errors import AccessError
from cia.settings import RagSettings
from rag_server.database import Database, metadata, utc_now

ISSUER = "code-intelligence-assistant"
ALGORITHM = "HS256"
"""The one algorithm that is ever accepted: this server alone signs and verifies (RFC 8725, section 3.1)."""

Audience = Literal["api", "session"]

NOT_VALID = "this token is not valid here: it has ended, or its user or key was revoked; get another from POST /auth/token"

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(32), primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created", DateTime, nullable=False),
    Column("retired", DateTime),
)


class Tokens:
    """Signs tokens with the newest key, and verifies them with every key whose tokens may still live."""

    def __init__(self, database: Database, settings: RagSettings) -> None:
        self._database = database
        self._life = {"api": settings.token_minutes * 60, "session": settings.session_hours * 3600}
        self._rotation = datetime.timedelta(days=settings.signing_key_days)
        database.create(signing_keys)

    def sign(self, user: str, key_id: str, audience: Audience) -> tuple[str, int]:
        """Return a token for ``user``, good while the API key with ``key_id`` is, and its life in seconds."""
        kid, secret = self._signing_key()
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": user,
            "key": key_id,
            "iat": now,
            "exp": now + self._life[audience],
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, secret, ALGORITHM, headers={"kid": kid}), self._life[audience]

    def read(self, token: str, audience: Audience) -> dict[str, Any]:
        """Return the claims of a valid token of ours. Raises AccessError for any other."""
        try:
            secret = self._secret(str(jwt.get_unverified_header(token).get("kid", "")))
            return jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                options={"require": ["exp", "iss", "aud", "sub", "iat"]},
            )
        except (jwt.PyJWTError, UnicodeError, RecursionError):
            raise AccessError(NOT_VALID) from None

    def rotate(self, *, end_tokens: bool = False) -> str:
        """Make a new signing key and return its id. ``end_tokens`` ends every token and session signed so far."""
        with self._database.writing() as connection:
            if end_tokens:
                connection.execute(delete(signing_keys))
            else:
                connection.execute(update(signing_keys).where(signing_keys.c.retired.is_(None)).values(retired=utc_now()))
            kid = secrets.token_hex(8)
            connection.execute(insert(signing_keys).values(kid=kid, secret=secrets.token_bytes(32), created=utc_now()))
            return kid

    def _signing_key(self) -> tuple[str, bytes]:
        newest = (
            select(signing_keys)
            .where(signing_keys.c.retired.is_(None))
            .order_by(signing_keys.c.created.desc(), signing_keys.c.kid)
        )
        with self._database.reading() as connection:
            row = connection.execute(newest).first()
        if row is not None and utc_now() - row.created < self._rotation:
            return row.kid, row.secret
        # Two processes that find the key too old at once make one each; either verifies what the other signs.
        self._forget_ended()
        self.rotate()
        with self._database.reading() as connection:
            row = connection.execute(newest).one()
        return row.kid, row.secret

    def _forget_ended(self) -> None:
        longest = datetime.timedelta(seconds=max(self._life.values()))
        with self._database.writing() as connection:
            connection.execute(delete(signing_keys).where(signing_keys.c.retired < utc_now() - longest))

    def _secret(self, kid: str) -> bytes:
        longest = datetime.timedelta(seconds=max(self._life.values()))
        with self._database.reading() as connection:
            row = connection.execute(select(signing_keys).where(signing_keys.c.kid == kid)).first()
        if row is None or (row.retired is not None and row.retired < utc_now() - longest):
            raise jwt.InvalidTokenError("unknown kid")
        return bytes(row.secret)
