"""The administrator that a new server begins with: there is no default password, so its key is made, or comes from outside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from sqlalchemy.exc import IntegrityError

from cia.errors import AccessError, InputError, SettingsError
from cia.settings import RagSettings
from rag_server.access.api_keys import KEY, ApiKeys, new_key, stored_form
from rag_server.access.users import Users

NAME = "admin"
SHORTEST_SUPPLIED = 32


def ensure_administrator(settings: RagSettings, users: Users, environment: Mapping[str, str] | None = None) -> str | None:
    """Make the administrator of a server that has none, and return its key, to be shown once.

    With the variable that ``rag.admin_key_variable`` names, its value is the key, also when it has changed since the last
    start, and None comes back; so it does when there is an administrator already. Of several replicas that start at once,
    one makes it. Raises SettingsError for a value that is too short to be a key.
    """
    variable = settings.admin_key_variable
    if supplied := (os.environ if environment is None else environment).get(variable):
        if not KEY.fullmatch(supplied) and (
            len(supplied) < SHORTEST_SUPPLIED or not supplied.isascii() or not supplied.isprintable()
        ):
            raise SettingsError(
                f"{variable} is no key: it needs {SHORTEST_SUPPLIED} characters or more; `openssl rand -hex 32` gives some"
            )
        _use(users, supplied)
        return None
    key, stored = new_key()
    return key if _made(users, stored) else None


def _use(users: Users, key: str) -> None:
    """Make ``key`` the one of the administrator called so, unless that one was revoked and others administer."""
    if _made(users, stored_form(key)):
        return
    user = users.find(NAME)
    if user is None or user.revoked is not None or not user.is_admin:
        return
    try:
        ApiKeys(users).verify(key)
    except AccessError:
        with contextlib.suppress(IntegrityError):  # another replica has just done the same
            users.replace_key(NAME, stored_form(key))


def _made(users: Users, stored: tuple[str, str]) -> bool:
    if users.has_administrator():
        return False
    try:
        users.add(NAME, is_admin=True, key=stored)
    except InputError:
        if users.has_administrator():  # another replica was faster
            return False
        raise
    return True
