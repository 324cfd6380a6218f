"""API keys: made once, stored as an Argon2id hash, verified without paying for that hash on every request."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections import OrderedDict

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from cia.errors import AccessError
from rag_server.access.users import User, Users

KEY = re.compile(r"cia_([0-9a-f]{16})_([A-Za-z0-9_-]{43,})")
SECRET_BYTES = 32

HASHER = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
"""Argon2id (RFC 9106) with 8 MiB and one pass. Its cost slows down guessing; a key of 256 random bits cannot be guessed at any
cost. The hash is there so that a copy of the database opens nothing, and cheap, so that wrong keys cost the server little."""

NOBODY_HASH = HASHER.hash(secrets.token_hex(SECRET_BYTES))
"""What a key of an unknown id is compared with, so that it takes as long as a wrong secret."""

SUPPLIED_ID = "supplied"
"""Id of the administrator's key when it came from outside and has not our form."""

REMEMBERED_KEYS = 10_000
UNKNOWN_KEY = "this API key is not known here: it is wrong, or it was revoked; an administrator makes one with `cia users add`"


def new_key() -> tuple[str, tuple[str, str]]:
    """Return a key to hand out, and its id and hash to store."""
    key = f"cia_{secrets.token_hex(8)}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return key, stored_form(key)


def stored_form(key: str) -> tuple[str, str]:
    """Return the id and the hash under which ``key`` is stored."""
    return key_id(key), HASHER.hash(key)


def key_id(key: str) -> str:
    """Return the id that ``key`` carries; a key that is not in our form has a fixed one."""
    match = KEY.fullmatch(key)
    return match[1] if match else SUPPLIED_ID


class ApiKeys:
    """Verifies keys. What was verified once is remembered as a SHA-256 beside the hash that it was found to fit."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._verified: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, key: str) -> tuple[User, str]:
        """Return the user of ``key`` and the key's id. Raises AccessError, in the same words whatever was wrong."""
        found = self._users.of_key(key_id(key))
        stored = found[1] if found else NOBODY_HASH
        if not self._fits(key, stored) or found is None or found[0].revoked is not None:
            raise AccessError(UNKNOWN_KEY)
        return found[0], key_id(key)

    def _fits(self, key: str, stored: str) -> bool:
        digest = hashlib.sha256(key.encode()).digest()
        with self._lock:
            if self._verified.get(digest) == stored:
                return True
        try:
            HASHER.verify(stored, key)  # compares in constant time
        except (VerificationError, InvalidHashError):
            return False
        with self._lock:
            self._verified[digest] = stored
            while len(self._verified) > REMEMBERED_KEYS:
                self._verified.popitem(last=False)
        return True
