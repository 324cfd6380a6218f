"""Random values for keys that nobody has to know."""

from __future__ import annotations

import secrets
import uuid

from cluster.secret_keys import Form


def fresh(form: Form) -> str:
    """Return a value that nobody has seen, with at least 122 random bits; a user's name has 32, and is no secret."""
    if form == "hex64":
        return secrets.token_hex(32)
    if form == "username":
        return f"cia-{secrets.token_hex(4)}"
    if form in ("pk-lf", "sk-lf"):
        # A UUID of version 4 comes from os.urandom.
        return f"{form}-{uuid.uuid4()}"
    return secrets.token_urlsafe(32)
