"""A key opens what was granted to its user, while it was granted, and is nowhere to be found."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cia.errors import AccessError, InputError
from cia.settings import Settings
from rag_server.access.api_keys import HASHER, ApiKeys, new_key
from rag_server.access.authenticator import Authenticator, Credential
from rag_server.access.users import Users
from rag_server.database import Database
from tests.rag_server.running_server import ADMIN_KEY, Server, add_user, users_of

NAMES = (f"user-{number}" for number in itertools.count())


@pytest.fixture
def users(settings: Settings) -> Iterator[Users]:
    database = Database(settings)
    yield Users(database)
    database.close()


def names_of(server: Server) -> list[str]:
    return [one["name"] for one in server.client.get("/v1/repositories").json()["repositories"]]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_user_sees_what_is_granted_and_hears_of_nothing_else(server: Server, indexed: Settings) -> None:
    reader = server.acting_as(add_user(indexed, name := next(NAMES), "lantern"))
    stranger = server.acting_as(add_user(indexed, next(NAMES), "elsewhere"))
    assert names_of(reader) == ["lantern"]
    assert names_of(stranger) == []
    assert reader.client.get("/v1/me").json() == {"user": name, "admin": False, "repos": ["lantern"]}
    hidden = stranger.client.get("/v1/sources/lantern/src/wick.py")
    absent = stranger.client.get("/v1/sources/no-such-thing/src/wick.py")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace("lantern", "X") == absent.text.replace("no-such-thing", "X")


def test_a_grant_reaches_a_running_server_within_a_second_and_so_does_its_end(server: Server, indexed: Settings) -> None:
    reader = server.acting_as(add_user(indexed, name := next(NAMES)))
    assert names_of(reader) == []
    with users_of(indexed) as users:
        users.grant(name, ["lantern"])
        assert within(1.3, lambda: names_of(reader) == ["lantern"])
        users.ungrant(name, ["lantern"])
        assert within(1.3, lambda: names_of(reader) == [])


def test_a_revoked_key_ends_within_a_second_and_everything_it_was_traded_for(server: Server, indexed: Settings) -> None:
    reader = server.acting_as(key := add_user(indexed, name := next(NAMES), "lantern"))
    token = server.acting_as(reader.client.post("/auth/token", json={"api_key": key}).json()["access_token"])
    assert reader.client.get("/v1/me").status_code == token.client.get("/v1/me").status_code == 200
    with users_of(indexed) as users:
        users.revoke(name)
    assert within(1.3, lambda: reader.client.get("/v1/me").status_code == 401)
    assert within(1.3, lambda: token.client.get("/v1/me").status_code == 401)
    assert names_of_new(server, indexed, name) == []
    assert token.client.get("/v1/me").status_code == 401, "the token of the former user woke up with the name"


def names_of_new(server: Server, settings: Settings, name: str) -> list[str]:
    return names_of(server.acting_as(add_user(settings, name)))


def test_a_new_key_ends_the_old_one(users: Users) -> None:
    old, stored = new_key()
    users.add("alice", key=stored)
    new, stored = new_key()
    users.replace_key("alice", stored)
    keys = ApiKeys(users)
    assert keys.verify(new)[0].name == "alice"
    with pytest.raises(AccessError):
        keys.verify(old)


def test_an_unknown_id_a_wrong_secret_and_a_revoked_user_are_told_the_same(users: Users) -> None:
    key, stored = new_key()
    users.add("alice", key=stored)
    gone, stored = new_key()
    users.add("bob", key=stored)
    users.revoke("bob")
    told = set()
    for wrong in (new_key()[0], key[:-1] + ("A" if key[-1] != "A" else "B"), gone, "nonsense", key.upper()):
        with pytest.raises(AccessError) as refusal:
            ApiKeys(users).verify(wrong)
        told.add(str(refusal.value))
    assert len(told) == 1


def test_a_key_is_nowhere_in_the_database_the_log_or_an_error(server: Server, indexed: Settings) -> None:
    key = add_user(indexed, next(NAMES), "lantern")
    secret = key.rpartition("_")[2] if "_" not in key[21:] else key[21:]
    reader = server.acting_as(key)
    said = [reader.client.get("/v1/me"), reader.client.get("/nothing"), reader.client.post("/v1/ask", content=b"{")]
    said.append(server.acting_as(f"{key}x").client.get("/v1/me"))
    said.append(reader.client.post("/auth/session", json={"api_key": key, "wrong": 1}))
    files = [path.read_bytes() for path in (indexed.home / "rag_server").rglob("*") if path.is_file()]
    assert files
    for told in (*files, json.dumps(server.log).encode(), *(reply.content for reply in said)):
        assert secret.encode() not in told


def test_argon2_runs_once_for_a_key_and_not_for_each_request(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    key, stored = new_key()
    users.add("alice", key=stored)
    keys = ApiKeys(users)
    keys.verify(key)
    monkeypatch.setattr("rag_server.access.api_keys.HASHER", None)
    assert keys.verify(key)[0].name == "alice"


def test_a_stored_hash_is_salted_argon2id(users: Users) -> None:
    key = ADMIN_KEY
    first, second = HASHER.hash(key), HASHER.hash(key)
    assert first.startswith("$argon2id$v=19$m=8192,t=1,p=1$")
    assert first != second


def test_authentication_asks_the_database_once_a_second_at_most(users: Users, settings: Settings) -> None:
    key, stored = new_key()
    users.add("alice", key=stored)
    database = Database(settings)
    authenticator = Authenticator(settings, database)
    credential = Credential(key)
    assert authenticator.remembered(credential) is None
    authenticator.identify(credential)
    database.close()
    begun = time.perf_counter()
    for _ in range(1000):
        assert authenticator.remembered(credential) is not None
    assert (time.perf_counter() - begun) / 1000 < 0.0005
    time.sleep(1.05)
    assert authenticator.remembered(credential) is None


@pytest.mark.parametrize("name", ["", "a b", "-x", "oidc:", "a:b", "x" * 65, "é", "a\nb", "../etc"])
def test_a_name_that_cannot_be_one_is_refused(users: Users, name: str) -> None:
    with pytest.raises(InputError, match="cannot be a user's name"):
        users.add(name)


def test_a_name_is_taken_until_it_is_revoked(users: Users) -> None:
    users.add("alice", ["lantern"])
    with pytest.raises(InputError, match="already"):
        users.add("alice")
    users.revoke("alice")
    assert users.add("alice").repos == frozenset()


def test_a_grant_that_was_not_given_cannot_be_taken(users: Users) -> None:
    users.add("alice", ["*"])
    with pytest.raises(InputError, match="may read every repository"):
        users.ungrant("alice", ["lantern"])


def test_users_added_and_killed_midway_leave_a_database_that_works(settings: Settings, tmp_path: Path) -> None:
    script = (
        "import itertools, sys\n"
        "from pathlib import Path\n"
        "from cia.settings import load_settings\n"
        "from rag_server.access.users import Users\n"
        "from rag_server.access.api_keys import new_key\n"
        "from rag_server.database import Database\n"
        f"users = Users(Database(load_settings(environment={{'CIA_HOME': {str(settings.home)!r}}})))\n"
        "print('begun', flush=True)\n"
        "for number in itertools.count():\n"
        "    users.add(f'user{number}', [f'repo{n}' for n in range(50)], key=('%016x' % number, 'hash'))\n"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.15)
        process.kill()
        process.wait()
        with users_of(settings) as users:
            everyone = users.list()
            assert everyone
            assert {len(user.repos) for user in everyone} == {50}, "a user was kept without its grants"
            for user in everyone:
                users.revoke(user.name)
            with users._database.reading() as connection:
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        with users_of(settings) as users, users._database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM users")
