"""Every way in needs a credential, whatever its path; a browser's cookie works for this server's own page alone."""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from cia.settings import Settings
from rag_server.access.authentication import shown_credential
from tests.rag_server.running_server import ADMIN_KEY, Server, add_user, with_rag

OPEN = {"/auth/token", "/healthz", "/readyz", "/metrics"}


@pytest.fixture
def nobody(server: Server) -> Server:
    return server.acting_as(None)


@pytest.fixture
def browser(server: Server) -> Iterator[Server]:
    """A browser that has signed in, and sends the cookie with what its pages do."""
    browser = server.acting_as(None)
    reply = browser.client.post("/auth/session", json={"api_key": ADMIN_KEY})
    assert reply.json() == {"user": "admin", "admin": True}
    return browser


def test_every_route_but_the_open_ones_needs_a_credential(nobody: Server) -> None:
    paths = nobody.client.get("/openapi.json").json()["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    routes += [
        ("POST", "/mcp"),
        ("GET", "/mcp"),
        ("DELETE", "/mcp/"),
        ("GET", "/nothing"),
        ("GET", "/docsx"),
        ("OPTIONS", "/v1/ask"),
    ]
    closed = [(method, path) for method, path in routes if path not in OPEN and (method, path) != ("POST", "/auth/session")]
    assert len(closed) > 15
    for method, path in closed:
        reply = nobody.client.request(method, path)
        assert reply.status_code == 401, f"{method} {path} answered {reply.status_code} to nobody"
        assert reply.headers["www-authenticate"] == "Bearer"
        assert set(reply.json()["error"]) == {"message", "type"}


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/", "/page/app.js", "/docs", "/docs/start.js", "/openapi.json"]
)
def test_what_lies_open_needs_none(nobody: Server, path: str) -> None:
    assert nobody.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["//v1/me", "/page/../v1/me", "/healthz/../v1/me", "/V1/me", "/v1/me/", "/docs/../v1/repositories"]
)
def test_a_path_in_disguise_leads_to_nothing(nobody: Server, path: str) -> None:
    reply = nobody.client.get(path, follow_redirects=True)
    assert reply.status_code in (401, 404)
    assert "admin" not in reply.json()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {ADMIN_KEY}"},
        {"X-API-Key": ""},
        {"Authorization": ADMIN_KEY}, {"X-API-Key": "x" * 9000}, {"Authorization": "Bearer a.b.c"},
        {"Cookie": f"cia_session={ADMIN_KEY}"},
        {"Authorization": "Bearer nonsense", "X-API-Key": ADMIN_KEY},
    ],
)  # fmt: skip
def test_a_credential_that_is_none_opens_nothing(nobody: Server, headers: dict[str, str]) -> None:
    assert nobody.client.get("/v1/me", headers=headers).status_code == 401


def test_a_key_goes_in_either_header(nobody: Server) -> None:
    for headers in ({"Authorization": f"bearer  {ADMIN_KEY} "}, {"X-API-Key": ADMIN_KEY}):
        assert nobody.client.get("/v1/me", headers=headers).json()["user"] == "admin"


@pytest.mark.parametrize(
    "part", ["[" * 5000, '{"iss":' * 800, '{"exp":' + "9" * 5000 + "}", '"x"', "nul"], ids=lambda part: part[:12]
)
def test_a_token_made_to_break_the_parser_is_merely_refused(nobody: Server, part: str) -> None:
    encoded = base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode()
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"x"}').rstrip(b"=").decode()
    for token in (f"{head}.{encoded}.x", f"{encoded}.{head}.x"):
        for headers in ({"X-API-Key": token}, {"Cookie": f"cia_session={token}"}):
            assert nobody.client.get("/v1/me", headers=headers).status_code in (401, 429)
    assert nobody.client.post("/auth/token", content=b"[" * 200_000).status_code == 422


def test_a_web_socket_is_refused(nobody: Server) -> None:
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)), nobody.client.websocket_connect("/v1/ask"):
        pass


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"api_key": ADMIN_KEY}},
        {"headers": {"Authorization": f"Bearer {ADMIN_KEY}"}},
        {"data": {"grant_type": "client_credentials", "client_id": "x", "client_secret": ADMIN_KEY}},
        {"data": {"grant_type": "password", "username": "admin", "password": ADMIN_KEY}},
        {"headers": {"Authorization": "Basic " + base64.b64encode(f"x:{ADMIN_KEY}".encode()).decode()}},
    ],
    ids=["json", "bearer", "client_credentials", "password", "basic"],
)
def test_a_key_is_traded_for_a_token(nobody: Server, sent: dict[str, object]) -> None:
    reply = nobody.client.post("/auth/token", **sent)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert (told["token_type"], told["expires_in"], reply.headers["cache-control"]) == ("bearer", 900, "no-store")
    assert nobody.acting_as(told["access_token"]).client.get("/v1/me").json()["user"] == "admin"


@pytest.mark.parametrize(
    ("sent", "status"),
    [({"json": {"api_key": "x"}}, 401), ({"json": {}}, 401), ({"json": [1]}, 401), ({"json": {"api_key": 1}}, 401),
     ({"content": b"{"}, 422),
     ({"content": b"\xff"}, 422), ({"headers": {"Authorization": "Basic %%"}}, 401)],
)  # fmt: skip
def test_what_is_no_key_is_traded_for_nothing(nobody: Server, sent: dict[str, object], status: int) -> None:
    assert nobody.client.post("/auth/token", **sent).status_code == status


def test_a_token_cannot_be_traded_for_another(nobody: Server) -> None:
    token = nobody.client.post("/auth/token", json={"api_key": ADMIN_KEY}).json()["access_token"]
    assert nobody.client.post("/auth/token", json={"api_key": token}).status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(nobody: Server) -> None:
    cookie = nobody.client.post("/auth/session", json={"api_key": ADMIN_KEY}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    secure = nobody.client.post("https://127.0.0.1/auth/session", json={"api_key": ADMIN_KEY}).headers["set-cookie"]
    assert "Secure" in secure


def test_a_signed_in_browser_reads_and_its_own_page_may_ask(browser: Server) -> None:
    assert browser.client.get("/v1/me").json()["user"] == "admin"
    for ours in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1"}):
        assert browser.client.post("/v1/search", json={"query": "wick"}, headers=ours).status_code == 200


@pytest.mark.parametrize(
    "foreign",
    [
        {}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}, {"Origin": "null"},
        {"Origin": "http://evil.example"}, {"Origin": "http://127.0.0.1:81"}, {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
    ],
    ids=str,
)  # fmt: skip
def test_another_page_may_not_use_the_cookie(browser: Server, foreign: dict[str, str]) -> None:
    for method, path in (("POST", "/v1/search"), ("POST", "/mcp"), ("DELETE", "/v1/conversations"), ("DELETE", "/auth/session")):
        reply = browser.client.request(method, path, json={"query": "wick"}, headers=foreign)
        assert (reply.status_code, reply.json()["error"]["type"]) == (403, "forbidden")


def test_another_page_may_not_sign_anyone_in(nobody: Server) -> None:
    reply = nobody.client.post("/auth/session", json={"api_key": ADMIN_KEY}, headers={"Origin": "http://evil.example"})
    assert reply.status_code == 403
    assert "set-cookie" not in reply.headers


def test_signing_out_forgets_the_cookie(browser: Server) -> None:
    assert browser.client.delete("/auth/session", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204
    assert browser.client.get("/v1/me").status_code == 401


def test_wrong_keys_from_one_address_are_soon_not_looked_at(start: Callable[..., Server], indexed: Settings) -> None:
    server = start(with_rag(indexed, failed_logins=3))
    known = server.acting_as(add_user(indexed, "known-before"))
    assert known.client.get("/v1/me").status_code == 200
    guess = server.acting_as(None)
    ways = [
        lambda: guess.client.post("/auth/token", json={"api_key": "wrong"}),
        lambda: guess.client.post("/auth/session", json={"api_key": "wrong"}),
        lambda: guess.client.get("/v1/me", headers={"X-API-Key": "wrong"}),
    ]
    assert [way().status_code for way in ways] == [401, 401, 401]
    for way in ways:
        reply = way()
        assert reply.status_code == 429
        assert 0 < int(reply.headers["retry-after"]) <= 60
    right = add_user(indexed, "not-known-before")
    assert guess.client.post("/auth/token", json={"api_key": right}).status_code == 429, "a right guess must not be told apart"
    time.sleep(1.1)
    assert known.client.get("/v1/me").status_code == 200, "others who guess from an address shut out who was known there"


def test_a_token_that_has_ended_is_no_guess(start: Callable[..., Server], indexed: Settings) -> None:
    server = start(with_rag(indexed, failed_logins=3))
    program = server.acting_as(None)
    ended = program.client.post("/auth/token", json={"api_key": ADMIN_KEY}).json()["access_token"]
    server.client.app.state.services.authenticator.tokens.rotate(end_tokens=True)
    for headers in ({"Authorization": f"Bearer {ended}"}, {"Cookie": f"cia_session={ended}"}) * 5:
        assert program.client.get("/v1/me", headers=headers).status_code == 401
    assert program.client.post("/auth/token", json={"api_key": ADMIN_KEY}).status_code == 200


def test_authentication_costs_a_request_well_under_a_millisecond(server: Server) -> None:
    authenticator = server.client.app.state.services.authenticator
    scope = {"type": "http", "headers": [(b"authorization", f"Bearer {ADMIN_KEY}".encode())], "path": "/v1/me", "method": "GET"}
    authenticator.identify(shown_credential(scope))
    costs = []
    for _ in range(200):
        begun = time.perf_counter()
        assert authenticator.remembered(shown_credential(scope)) is not None
        costs.append(time.perf_counter() - begun)
    assert statistics.median(costs) < 0.0002
