"""The doctor and the secret on a real API server, in a namespace that goes when they end."""

from __future__ import annotations

import copy
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cia.settings import Settings, load_settings
from cluster.connection import Connection, connect
from cluster.doctor import Finding, diagnose
from cluster.secrets import ensure_secret

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("KUBECONFIG"), reason="set KUBECONFIG to a cluster in which a namespace may be made"),
]

ONLY = ["qdrant"]
"""A part of built-in kinds alone, which every cluster knows."""


@pytest.fixture(scope="module")
def connection() -> Connection:
    return connect()


@pytest.fixture
def settings(connection: Connection) -> Iterator[Settings]:
    from kubernetes import client

    name = f"cia-test-{uuid.uuid4().hex[:8]}"
    core = client.CoreV1Api(connection.api)
    core.create_namespace({"metadata": {"name": name}})
    yield load_settings("cluster", environment={"CIA_CLUSTER__NAMESPACE": name})
    core.delete_namespace(name)


def told(connection: Connection, settings: Settings, area: str) -> list[Finding]:
    found = [one for one in diagnose(settings, connection, ONLY) if one.area == area]
    assert not [one for one in found if one.subject == "this check"], "a check failed"
    return found


def test_of_six_that_make_the_secret_at_once_each_value_is_made_once(connection: Connection, settings: Settings) -> None:
    with ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(lambda _: ensure_secret(connection, settings), range(6)))
    made = [key for report in reports for key in report.made]
    assert sorted(made) == sorted(set(made))
    assert sum(report.created for report in reports) == 1
    assert ensure_secret(connection, settings).made == ()


def test_a_key_that_was_taken_out_is_told_and_made_again(connection: Connection, settings: Settings) -> None:
    from kubernetes import client

    where = settings.cluster
    ensure_secret(connection, settings)
    assert {one.state for one in told(connection, settings, "secret")} <= {"ok", "skipped"}
    client.CoreV1Api(connection.api).patch_namespaced_secret(where.secret, where.namespace, {"data": {"qdrant-api-key": None}})
    (missing,) = [one for one in told(connection, settings, "secret") if one.state == "broken"]
    assert missing.subject == "qdrant-api-key"
    assert ensure_secret(connection, settings).made == ("qdrant-api-key",)


def test_a_quota_that_is_too_small_is_told(connection: Connection, settings: Settings) -> None:
    from kubernetes import client

    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.memory": "1Gi"}}}
    client.CoreV1Api(connection.api).create_namespaced_resource_quota(settings.cluster.namespace, quota)
    (short,) = told(connection, settings, "quotas")
    assert short.said.startswith("small allows 1Gi of requests.memory, the selected parts ask for ")


def test_whoever_may_little_is_told_what_to_ask_an_administrator_for(connection: Connection, settings: Settings) -> None:
    found = diagnose(settings, in_the_name_of(connection, "weak", settings.cluster.namespace), ONLY)
    rights = [one for one in found if one.area == "rights"]
    assert "broken" in {one.state for one in rights}
    assert all(f"--serviceaccount={settings.cluster.namespace}:weak" in one.fix for one in rights if one.state != "ok")
    assert any("statefulsets.apps" in one.said for one in rights)
    assert [one.state for one in found if one.area == "secret"] == ["warning"]


def in_the_name_of(connection: Connection, account: str, namespace: str) -> Connection:
    """Return a connection with the token of a new service account, which has no rights."""
    from kubernetes import client

    core = client.CoreV1Api(connection.api)
    core.create_namespaced_service_account(namespace, {"metadata": {"name": account}})
    issued = core.create_namespaced_service_account_token(account, namespace, {"spec": {"expirationSeconds": 600}})
    configuration = copy.copy(connection.api.configuration)
    configuration.api_key = {"authorization": f"Bearer {issued.status.token}"}
    configuration.cert_file = configuration.key_file = configuration.refresh_api_key_hook = None
    api = client.ApiClient(configuration)
    return Connection(account, connection.server, api, connection.dynamic)
