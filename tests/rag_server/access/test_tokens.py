"""A token of ours is good while it lives, for what it was made for, and cannot be forged."""

from __future__ import annotations

import base64
import datetime
import json
import time
from collections.abc import Iterator

import jwt
import pytest
from sqlalchemy import select, update

from cia.errors import AccessError
from cia.settings import Settings
from rag_server.access.tokens import ISSUER, Tokens, signing_keys
from rag_server.database import Database


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings)
    yield database
    database.close()


@pytest.fixture
def tokens(database: Database, settings: Settings) -> Tokens:
    return Tokens(database, settings.rag)


def age(database: Database, **by: float) -> None:
    """Make every signing key older."""
    ago = datetime.timedelta(**by)
    with database.writing() as connection:
        for row in connection.execute(select(signing_keys)).all():
            changed = {"created": row.created - ago, "retired": row.retired and row.retired - ago}
            connection.execute(update(signing_keys).where(signing_keys.c.kid == row.kid).values(**changed))


def forged(database: Database, **changes: object) -> str:
    """A token signed with the server's own key that says something else than the server would."""
    with database.reading() as connection:
        row = connection.execute(select(signing_keys)).first()
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "api", "sub": "alice", "key": "k", "iat": now, "exp": now + 60, **changes}
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None}, row.secret, "HS256", headers={"kid": row.kid}
    )


def test_a_token_says_whose_it_is_and_how_long_it_lives(tokens: Tokens) -> None:
    token, seconds = tokens.sign("alice", "k1", "api")
    claims = tokens.read(token, "api")
    assert (claims["sub"], claims["key"], seconds) == ("alice", "k1", 15 * 60)
    assert claims["exp"] - claims["iat"] == seconds
    assert tokens.sign("alice", "k1", "session")[1] == 12 * 3600


def test_a_session_is_no_access_token_and_the_other_way_round(tokens: Tokens) -> None:
    for made, read in (("api", "session"), ("session", "api")):
        with pytest.raises(AccessError):
            tokens.read(tokens.sign("alice", "k", made)[0], read)


def test_a_token_that_is_as_it_should_be_is_read(tokens: Tokens, database: Database) -> None:
    tokens.sign("alice", "k", "api")
    assert tokens.read(forged(database), "api")["sub"] == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"iss": "somebody"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"iat": None},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(tokens: Tokens, database: Database, changes: dict[str, object]) -> None:
    tokens.sign("alice", "k", "api")
    with pytest.raises(AccessError):
        tokens.read(forged(database, **changes), "api")


def test_a_token_that_was_tampered_with_is_refused(tokens: Tokens) -> None:
    token, _ = tokens.sign("alice", "k", "api")
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "admin"
    other = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    for wrong in (f"{head}.{other}.{signature}", f"{unsigned}.{other}.", f"{head}.{body}.", "a.b.c", "", "é.é.é"):
        with pytest.raises(AccessError):
            tokens.read(wrong, "api")


def test_an_old_signing_key_is_replaced_by_itself_and_its_tokens_live_out_their_time(tokens: Tokens, database: Database) -> None:
    before, _ = tokens.sign("alice", "k", "session")
    age(database, days=31)
    after, _ = tokens.sign("alice", "k", "session")
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
    assert tokens.read(before, "session")["sub"] == tokens.read(after, "session")["sub"] == "alice"
    age(database, hours=13)
    with pytest.raises(AccessError):
        tokens.read(before, "session")


def test_a_key_that_has_ended_is_forgotten(tokens: Tokens, database: Database) -> None:
    for _ in range(4):
        tokens.sign("alice", "k", "api")
        age(database, days=31)
    with database.reading() as connection:
        assert len(connection.execute(select(signing_keys)).all()) <= 2


def test_rotation_by_hand_keeps_tokens_unless_they_are_to_end(tokens: Tokens) -> None:
    token, _ = tokens.sign("alice", "k", "api")
    tokens.rotate()
    assert tokens.read(token, "api")
    tokens.rotate(end_tokens=True)
    with pytest.raises(AccessError):
        tokens.read(token, "api")
    assert tokens.read(tokens.sign("alice", "k", "api")[0], "api")


def test_another_process_reads_what_this_one_signed(tokens: Tokens, settings: Settings) -> None:
    token, _ = tokens.sign("alice", "k", "api")
    other = Database(settings)
    assert Tokens(other, settings.rag).read(token, "api")["sub"] == "alice"
    other.close()
