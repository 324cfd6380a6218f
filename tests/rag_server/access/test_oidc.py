"""Tokens of an issuer: a real small one on the loopback interface, with keys made here."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cia.errors import AccessError, SettingsError, UnavailableError
from cia.settings import Settings
from rag_server.access.oidc import Oidc
from tests.rag_server.running_server import Server, users_of, with_rag


@dataclass
class Issuer:
    """An OpenID provider: its keys by id, and how often it was asked for them."""

    address: str = ""
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    asked: int = 0
    says: str | None = None

    def add_key(self, kid: str) -> None:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, kid: str = "one", algorithm: str = "RS256", **changes: Any) -> str:
        claims = {"iss": self.address, "aud": "code-assistant", "sub": "alice", "exp": int(time.time()) + 300, **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.keys[kid], algorithm, headers={"kid": kid})

    def document(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.says or self.address, "jwks_uri": f"{self.address}/keys"}
        if path != "/keys":
            return None
        self.asked += 1
        algorithm = jwt.algorithms.RSAAlgorithm
        return {
            "keys": [
                {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", "alg": "RS256"}
                for kid, key in self.keys.items()
            ]
        }


@pytest.fixture
def serve() -> Iterator[Callable[[Issuer], ThreadingHTTPServer]]:
    """Let an issuer answer, at the address it has or at a free one."""
    servers: list[ThreadingHTTPServer] = []

    def begin(issuer: Issuer) -> ThreadingHTTPServer:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = issuer.document(self.path)
                self.send_response(200 if document else 404)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: Any) -> None:
                pass

        port = int(issuer.address.rpartition(":")[2]) if issuer.address else 0
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        issuer.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def issuer(serve: Callable[[Issuer], ThreadingHTTPServer]) -> Issuer:
    issuer = Issuer()
    issuer.add_key("one")
    serve(issuer)
    return issuer


@pytest.fixture
def oidc(issuer: Issuer, settings: Settings) -> Oidc:
    return Oidc(settings.rag, issuer.address, ask_again_seconds=0.3)


def test_a_token_of_the_issuer_names_a_user_that_no_local_one_can_be(oidc: Oidc, issuer: Issuer) -> None:
    claims = oidc.read(issuer.token())
    assert (claims.user, claims.repos) == ("oidc:alice", frozenset())


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"}, {"aud": None}, {"iss": "https://evil.example"}, {"iss": None}, {"exp": int(time.time()) - 60},
        {"exp": None}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "a b"}, {"nbf": int(time.time()) + 1_000_000},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_says_something_wrong_is_refused(oidc: Oidc, issuer: Issuer, changes: dict[str, Any]) -> None:
    with pytest.raises(AccessError):
        oidc.read(issuer.token(**changes))


def test_no_signature_and_a_signature_with_the_public_key_are_refused(oidc: Oidc, issuer: Issuer) -> None:
    oidc.read(issuer.token())
    claims = {"iss": issuer.address, "aud": "code-assistant", "sub": "alice", "exp": int(time.time()) + 300}
    public = issuer.keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    unsigned = jwt.encode(claims, None, "none", headers={"kid": "one"})
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT","kid":"one"}')
    body = jwt.utils.base64url_encode(json.dumps(claims).encode())
    confused = b".".join((head, body, jwt.utils.base64url_encode(hmac.new(public, head + b"." + body, hashlib.sha256).digest())))
    for wrong in (unsigned, confused.decode(), issuer.token()[:-4] + "AAAA"):
        with pytest.raises(AccessError):
            oidc.read(wrong)


def test_a_key_of_somebody_else_under_the_same_id_is_refused(oidc: Oidc, issuer: Issuer) -> None:
    other = Issuer(issuer.address)
    other.add_key("one")
    with pytest.raises(AccessError):
        oidc.read(other.token())


def test_a_rotated_key_is_learned_and_unknown_ones_do_not_make_us_ask_for_each(oidc: Oidc, issuer: Issuer) -> None:
    oidc.read(issuer.token())
    issuer.add_key("two")
    time.sleep(0.35)
    assert oidc.read(issuer.token("two")).user == "oidc:alice"
    assert issuer.asked == 2
    other = Issuer(issuer.address)
    for number in range(20):
        other.keys[f"unknown-{number}"] = issuer.keys["one"]
        with pytest.raises(AccessError):
            oidc.read(other.token(f"unknown-{number}"))
    assert issuer.asked <= 4


def test_an_issuer_that_is_away_is_said_and_found_again(
    settings: Settings, issuer: Issuer, serve: Callable[[Issuer], ThreadingHTTPServer]
) -> None:
    away = Issuer("http://127.0.0.1:9", issuer.keys)
    with pytest.raises(UnavailableError, match="API keys still work"):
        Oidc(settings.rag, away.address).read(away.token())
    liar = Oidc(settings.rag, issuer.address, ask_again_seconds=0.1)
    issuer.says = "https://evil.example"
    for _ in range(2):  # asked, and not asked again a moment later
        with pytest.raises(UnavailableError, match="another issuer"):
            liar.read(issuer.token())
    issuer.says = None
    time.sleep(0.15)
    assert liar.read(issuer.token()).user == "oidc:alice"


@pytest.mark.parametrize("address", ["http://issuer.example", "ftp://127.0.0.1", "issuer.example", ""])
def test_an_issuer_without_tls_is_not_asked(settings: Settings, address: str) -> None:
    with pytest.raises(SettingsError, match="https"):
        Oidc(settings.rag, address)


def test_users_of_an_issuer_read_what_is_granted_here_and_what_their_claim_names(
    start: Callable[..., Server], indexed: Settings, issuer: Issuer
) -> None:
    server = start(with_rag(indexed, oidc_issuer=issuer.address, oidc_repos_claim="repos"))
    me = server.acting_as(issuer.token(sub="dora")).client.get("/v1/me").json()
    assert me == {"user": "oidc:dora", "admin": False, "repos": []}
    with users_of(indexed) as users:
        users.add("oidc:dora", ["lantern"])
    me = server.acting_as(issuer.token(sub="dora", repos=["wharf", 7])).client.get("/v1/me").json()
    assert me["repos"] == ["lantern", "wharf"]
    with users_of(indexed) as users:
        users.revoke("oidc:dora")
    assert server.acting_as(issuer.token(sub="dora", repos=["lantern"], jti="x")).client.get("/v1/me").status_code == 401


def test_while_the_issuer_is_away_its_users_wait_and_the_others_do_not(start: Callable[..., Server], indexed: Settings) -> None:
    away = Issuer("http://127.0.0.1:9")
    away.add_key("one")
    server = start(with_rag(indexed, oidc_issuer=away.address))
    reply = server.acting_as(away.token()).client.get("/v1/me")
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0
    assert server.client.get("/v1/me").status_code == 200
