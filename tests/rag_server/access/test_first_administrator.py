"""A new server has one administrator, whose key is shown once or comes from outside; there is no default."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cia.errors import SettingsError
from cia.leash import Leashed
from cia.settings import Settings
from rag_server.access.api_keys import ApiKeys
from rag_server.access.first_administrator import ensure_administrator
from tests.rag_server.running_server import users_of

SUPPLIED = {"CIA_ADMIN_KEY": "0123456789abcdef0123456789abcdef"}


def test_the_first_start_shows_a_key_that_works_and_the_second_shows_none(settings: Settings, tmp_path: Path) -> None:
    said, log = first = tmp_path / "said", tmp_path / "log"
    with started(settings, *first) as address:
        (key,) = set(re.findall(r"cia_[\w-]+", said.read_text()))
        assert f"{address}/#key={key}" in said.read_text()
        assert who(address, key) == {"user": "admin", "admin": True, "repos": None}
    assert key[21:] not in log.read_text()
    said, log = second = tmp_path / "said again", tmp_path / "log again"
    with started(settings, *second) as address:
        assert who(address, key)["user"] == "admin"
    assert said.read_text() == f"Code Intelligence Assistant at {address}\n"
    assert key[21:] not in log.read_text()


def who(address: str, key: str) -> dict[str, object]:
    return httpx.get(f"{address}/v1/me", headers={"Authorization": f"Bearer {key}"}).json()


@contextlib.contextmanager
def started(settings: Settings, said: Path, log: Path) -> Iterator[str]:
    """Run ``cia serve`` and yield its address, which is the first thing that it says."""
    with said.open("wb") as output, log.open("wb") as errors:
        command = [sys.executable, "-m", "cli.main", "serve", "--port", "0"]
        server = Leashed(command, environment={**os.environ, "CIA_HOME": str(settings.home)}, stdout=output, stderr=errors)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and "\n" not in said.read_text():
            time.sleep(0.05)
        time.sleep(0.2)  # for what else there is to say
        first = said.read_text().splitlines()[0]
        assert first.startswith("Code Intelligence Assistant at http://127.0.0.1:")
        yield first.split()[-1]
    finally:
        server.stop()


def test_two_processes_that_start_at_once_make_one(settings: Settings) -> None:
    script = (
        "import sys, time\n"
        "from cia.settings import load_settings\n"
        "from rag_server.access.first_administrator import ensure_administrator\n"
        "from rag_server.access.users import Users\n"
        "from rag_server.database import Database\n"
        f"settings = load_settings(environment={{'CIA_HOME': {str(settings.home)!r}}})\n"
        "time.sleep(max(0, float(sys.argv[1]) - time.time()))\n"
        "print(ensure_administrator(settings.rag, Users(Database(settings)), {}) or 'none')\n"
    )
    together = str(time.time() + 4)
    processes = [subprocess.Popen([sys.executable, "-c", script, together], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    (key,) = [one for one in told if one != "none"]
    with users_of(settings) as users:
        assert [user.name for user in users.list()] == ["admin"]
        assert ApiKeys(users).verify(key)[0].is_admin


def test_a_key_from_outside_is_the_administrators_and_is_not_shown(settings: Settings) -> None:
    with users_of(settings) as users:
        assert ensure_administrator(settings.rag, users, SUPPLIED) is None
        assert ApiKeys(users).verify(SUPPLIED["CIA_ADMIN_KEY"])[0].is_admin
        changed = {"CIA_ADMIN_KEY": "another-key-of-forty-characters-00000000"}
        ensure_administrator(settings.rag, users, changed)
        assert ApiKeys(users).verify(changed["CIA_ADMIN_KEY"])[0].name == "admin"
        assert len(users.list()) == 1


def test_an_administrator_who_was_revoked_does_not_come_back_while_there_is_another(settings: Settings) -> None:
    with users_of(settings) as users:
        ensure_administrator(settings.rag, users, SUPPLIED)
        users.add("olga", is_admin=True)
        users.revoke("admin")
        ensure_administrator(settings.rag, users, SUPPLIED)
        assert users.find("admin").revoked is not None


@pytest.mark.parametrize("key", ["admin", "0123456789abcdef", "é" * 40, "x" * 31, "x\n" * 20])
def test_a_weak_key_from_outside_is_refused(settings: Settings, key: str) -> None:
    with users_of(settings) as users, pytest.raises(SettingsError, match="CIA_ADMIN_KEY") as refusal:
        ensure_administrator(settings.rag, users, {"CIA_ADMIN_KEY": key})
    assert key not in str(refusal.value).replace("CIA_ADMIN_KEY", "")
