"""A page that reaches this server under a name of its own gets nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cia.settings import Settings
from tests.rag_server.running_server import Server, with_rag


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "localhost.evil.example", "", "[::2]:80"]
)
def test_a_server_on_loopback_answers_to_loopback_names_alone(server: Server, host: str) -> None:
    for path in ("/v1/me", "/", "/auth/token", "/openapi.json"):
        reply = server.client.get(path, headers={"Host": host})
        assert (reply.status_code, reply.json()["error"]["type"]) == (421, "wrong_host")


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:9000", "LocalHost"])
def test_its_own_names_are_answered(server: Server, host: str) -> None:
    assert server.client.get("/v1/me", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_a_kubelet_and_prometheus_ask_by_a_pods_address(server: Server, path: str) -> None:
    assert server.client.get(path, headers={"Host": "10.1.2.3:8080"}).status_code == 200


def test_a_server_that_listens_elsewhere_answers_to_every_name_or_those_that_are_listed(
    start: Callable[..., Server], indexed: Settings
) -> None:
    anywhere = start(with_rag(indexed, host="0.0.0.0"))
    assert anywhere.client.get("/v1/me", headers={"Host": "code.example"}).status_code == 200
    listed = start(with_rag(indexed, host="0.0.0.0", allowed_hosts=["code.example", "*.corp.example"]))
    status = {
        host: listed.client.get("/v1/me", headers={"Host": host}).status_code for host in ("code.example", "a.corp.example:443")
    }
    assert set(status.values()) == {200}
    for host in ("evil.example", "corp.example", "evilcorp.example", "127.0.0.1"):
        assert listed.client.get("/v1/me", headers={"Host": host}).status_code == 421
