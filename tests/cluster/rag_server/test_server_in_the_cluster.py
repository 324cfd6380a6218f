"""The RAG server's pod: its very command, environment and mounts, run here; and what scales it and leads to it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cia.retrieval import Indexer
from cia.settings import Settings, load_settings
from cluster import configuration
from cluster.rag_server.server import LEAVE_SECONDS, SHUTDOWN_SECONDS, cluster_objects
from tests.cluster.rendered import settings_of

KEY = "k" * 43
STORES = {"RAG_DATABASE_URL", "RAG_REDIS_URL"}
"""PostgreSQL and Valkey are not at hand: without their addresses the server keeps to its home."""


def built(**variables: str) -> dict[str, dict[str, Any]]:
    """The server's objects by kind, without its stores'."""
    objects = cluster_objects(settings_of(**variables))
    return {one["kind"]: one for one in objects if one["metadata"]["name"] == "rag-server"}


def container_of(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one repository, as the shared volume holds it."""
    folder = tmp_path_factory.mktemp("pod")
    source = folder / "bank"
    source.mkdir()
    (source / "ledger.py").write_text('def transfer(amount: int) -> int:\n    """Move money."""\n    return amount\n')
    Indexer(Settings(home=folder / "home")).index(str(source))
    return folder / "home"


@pytest.fixture(scope="module")
def pod(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """The container's command with its environment, at a free port of the loopback address."""
    settings = load_settings(environment={})
    params = tmp_path_factory.mktemp("params")
    (config_map,) = configuration.cluster_objects(settings)
    for name, text in config_map["data"].items():
        (params / name).write_text(text)
    (deployment,) = [one for one in cluster_objects(settings) if one["kind"] == "Deployment"]
    container = container_of(deployment)
    environment = {one["name"]: one.get("value", KEY) for one in container["env"] if one["name"] not in STORES}
    environment |= {"CIA_HOME": str(home), "CIA_PARAMS": str(params / "params.yaml"), "HOME": str(params)}
    program, *arguments = container["command"]
    arguments[arguments.index("--host") + 1], arguments[arguments.index("--port") + 1] = "127.0.0.1", "0"
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=params) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        with httpx.Client(base_url=address, timeout=30, headers={"Authorization": f"Bearer {KEY}"}) as client:
            yield client, process
        process.kill()


def test_the_pod_answers_from_a_corpus_that_it_only_reads_and_ends_in_time(
    pod: tuple[httpx.Client, subprocess.Popen[str]], home: Path
) -> None:
    client, process = pod
    before = stamps(home / "corpus")
    assert client.get("/readyz").json()["ready"] is True
    assert client.get("/v1/sources/bank/ledger.py", params={"start": 1, "end": 1}).json()["lines"] == [
        "def transfer(amount: int) -> int:"
    ]
    assert client.post("/v1/search", json={"query": "move money"}).json()["results"][0]["symbol"] == "transfer"
    assert client.get("/model/info", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/model/info", headers={"Host": "rag-server.code-assistant.svc"}).status_code == 200
    assert stamps(home / "corpus") == before
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=SHUTDOWN_SECONDS)
    assert time.monotonic() - asked < SHUTDOWN_SECONDS


def test_probes_of_all_replicas_on_one_node_stay_below_the_limit_of_their_address() -> None:
    deployment = built()["Deployment"]
    container = container_of(deployment)
    limit = int(next(one["value"] for one in container["env"] if one["name"] == "CIA_RAG__HEALTH_RATE_LIMIT"))
    replicas = built()["HorizontalPodAutoscaler"]["spec"]["maxReplicas"]
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert 60 / container[kind]["periodSeconds"] * replicas * 2 < limit


def test_a_pod_is_given_the_time_that_it_takes_to_leave() -> None:
    spec = built()["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(LEAVE_SECONDS)]
    assert spec["terminationGracePeriodSeconds"] >= LEAVE_SECONDS + SHUTDOWN_SECONDS


def test_of_the_shared_volume_the_pod_sees_the_corpus_alone_and_cannot_write_there() -> None:
    mounts = {mount["mountPath"]: mount for mount in container_of(built()["Deployment"])["volumeMounts"]}
    shared = [mount for mount in mounts.values() if mount["name"] == "shared"]
    assert [(mount["subPath"], mount["readOnly"]) for mount in shared] == [("corpus", True)]
    home = next(one["value"] for one in container_of(built()["Deployment"])["env"] if one["name"] == "CIA_HOME")
    assert shared[0]["mountPath"] == f"{home}/corpus"


def test_other_settings_are_other_pods() -> None:
    def annotations(**variables: str) -> dict[str, str]:
        marks: dict[str, str] = built(**variables)["Deployment"]["spec"]["template"]["metadata"]["annotations"]
        return marks

    assert annotations() == annotations()
    assert annotations() != annotations(RAG__RATE_LIMIT="7")


def test_passwords_of_the_stores_are_put_into_their_addresses_by_kubernetes() -> None:
    values = {one["name"]: one.get("value", "") for one in container_of(built()["Deployment"])["env"]}
    assert values["RAG_DATABASE_URL"].startswith("postgresql+psycopg://rag-server:$(")
    assert "$(" in values["RAG_REDIS_URL"]


def test_traces_go_nowhere_without_an_address_of_langfuse() -> None:
    def names(**variables: str) -> set[str]:
        return {one["name"] for one in container_of(built(**variables)["Deployment"])["env"]}

    assert "LANGFUSE_SECRET_KEY" in names()
    assert "LANGFUSE_SECRET_KEY" not in names(TRACING__LANGFUSE_URL="null")


def test_an_ingress_leads_to_the_service_by_its_name_with_a_certificate() -> None:
    there = built(CLUSTER__RAG_SERVER__HOST="code.example.com", CLUSTER__RAG_SERVER__INGRESS_CLASS="nginx")
    spec = there["Ingress"]["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert spec["tls"] == [{"hosts": ["code.example.com"], "secretName": "code-assistant-tls"}]
    ((path,),) = (rule["http"]["paths"] for rule in spec["rules"])
    backend = path["backend"]["service"]
    ports = {port["name"] for port in there["Service"]["spec"]["ports"]}
    assert (backend["name"], backend["port"]["name"] in ports) == ("rag-server", True)


def test_a_gateway_or_nothing_leads_to_it_when_the_settings_say_so() -> None:
    route = built(CLUSTER__RAG_SERVER__EXPOSED_BY="gateway")["HTTPRoute"]
    assert route["spec"]["parentRefs"] == [{"name": "gateway", "namespace": "ingress-nginx"}]
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "rag-server", "port": 80}]
    assert not {"Ingress", "HTTPRoute"} & set(built(CLUSTER__RAG_SERVER__EXPOSED_BY="nothing"))
