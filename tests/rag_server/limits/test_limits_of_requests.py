"""So many requests a minute, and then 429 until it works again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from prometheus_client import CollectorRegistry

from cia.settings import Settings
from rag_server.limits.client_address import client_address
from rag_server.limits.rate_store import RateStore
from rag_server.limits.redis_link import RedisLink
from rag_server.limits.server_limits import ServerLimits
from tests.rag_server.running_server import Server, add_user, with_rag


def test_a_user_has_so_many_requests_a_minute_and_no_other_user_pays_for_it(
    start: Callable[..., Server], indexed: Settings
) -> None:
    server = start(with_rag(indexed, rate_limit=5))
    eager, other = (server.acting_as(add_user(indexed, name, "lantern")) for name in ("eager", "other"))
    assert [eager.client.get("/v1/me").status_code for _ in range(6)] == [200] * 5 + [429]
    reply = eager.ask("How is a wick trimmed?")
    assert reply.status_code == 429
    assert 55 <= int(reply.headers["retry-after"]) <= 60
    assert (reply.headers["ratelimit-limit"], reply.headers["ratelimit-remaining"]) == ("5", "0")
    assert reply.json()["error"]["type"] == "rate_limited"
    assert other.client.get("/v1/me").status_code == 200


def test_a_token_and_a_key_of_one_user_share_the_limit(start: Callable[..., Server], indexed: Settings) -> None:
    server = start(with_rag(indexed, rate_limit=4))
    by_key = server.acting_as(key := add_user(indexed, "two-ways"))
    by_token = server.acting_as(server.acting_as(None).client.post("/auth/token", json={"api_key": key}).json()["access_token"])
    assert [one.client.get("/v1/me").status_code for one in (by_key, by_token) * 3] == [200] * 4 + [429] * 2


def test_health_checks_without_a_credential_have_a_limit_for_each_path(start: Callable[..., Server], indexed: Settings) -> None:
    server = start(with_rag(indexed, health_rate_limit=10))
    nobody = server.acting_as(None)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert [nobody.client.get(path).status_code for _ in range(11)] == [200] * 10 + [429]
        assert int(nobody.client.get(path).headers["retry-after"]) > 0
    assert server.client.get("/metrics").status_code == 200, "whoever shows a credential has a user's limit"


def test_the_page_and_its_parts_are_not_what_is_limited(start: Callable[..., Server], indexed: Settings) -> None:
    nobody = start(with_rag(indexed, rate_limit=1, health_rate_limit=1)).acting_as(None)
    assert {nobody.client.get(path).status_code for path in ("/", "/page/app.js", "/docs", "/openapi.json") * 20} == {200}


async def test_a_window_moves_and_says_when_the_next_request_works() -> None:
    store = RateStore(RedisLink(None, None, CollectorRegistry()))
    item = RateLimitItemPerSecond(2)
    assert [await store.hit(item, "a"), await store.hit(item, "a")] == [None, None]
    spent = await store.hit(item, "a")
    assert spent is not None
    assert 0 < spent.seconds <= 1
    import asyncio

    await asyncio.sleep(spent.seconds + 0.01)
    assert await store.hit(item, "a") is None


async def test_looking_counts_nothing() -> None:
    store = RateStore(RedisLink(None, None, CollectorRegistry()))
    item = RateLimitItemPerMinute(1)
    assert [await store.peek(item, "a") for _ in range(5)] == [None] * 5
    await store.hit(item, "a")
    assert await store.peek(item, "a") is not None


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_site_is_one_address_however_many_it_has(host: str, counted: str) -> None:
    assert client_address({"type": "http", "client": (host, 1)}) == counted


def test_an_address_that_is_no_redis_is_named_without_its_password(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from cia.errors import SettingsError

    monkeypatch.setenv("RAG_REDIS_URL", "http://user:hush@redis")
    with pytest.raises(SettingsError, match="RAG_REDIS_URL") as refusal:
        ServerLimits(settings.rag, None, CollectorRegistry())
    assert "hush" not in str(refusal.value)
