"""Qdrant, MLflow and Langfuse find their databases, and no object says what is secret."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cia.settings import load_settings
from cluster.langfuse import clickhouse
from cluster.langfuse.objects import PUBLIC_KEY, SECRET_KEY
from cluster.part import Object
from cluster.platform import platform
from cluster.qdrant.objects import restore_job
from cluster.redis import CONFIGURATION, redis
from cluster.secret_keys import SECRET_KEYS
from inference_services.cluster_objects import as_kubernetes_reads_it

PARTS = ("qdrant", "mlflow", "langfuse")
VARIANTS: dict[str, dict[str, str]] = {
    "as they come": {},
    "replicated and in an object store": {"CIA_CLUSTER__QDRANT__REPLICAS": "3", "CIA_CLUSTER__MLFLOW__ARTIFACTS": "s3"},
}
ADDRESS = re.compile(r"(?:@|//)([a-z][-a-z0-9]*)(?:\.[-a-z0-9.]+)?:([0-9]+)")


@pytest.fixture(params=VARIANTS, scope="module")
def objects(request: pytest.FixtureRequest) -> list[Object]:
    settings = load_settings("cluster", VARIANTS[request.param])
    return [
        *(built for _, part in platform(settings, PARTS) for built in part),
        as_kubernetes_reads_it(restore_job(settings)),
    ]


def pods(objects: list[Object]) -> Iterator[tuple[Object, dict[str, Any]]]:
    """Each object that makes pods, with their template."""
    for built in objects:
        spec = built.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield built, template


def variables(objects: list[Object]) -> Iterator[tuple[str, dict[str, Any]]]:
    for built, template in pods(objects):
        for program in template["spec"]["containers"]:
            yield from ((built["metadata"]["name"], variable) for variable in program.get("env", []))


def test_every_service_leads_to_a_port_that_its_pods_listen_on(objects: list[Object]) -> None:
    services = [built for built in objects if built["kind"] == "Service"]
    assert len(services) >= 8
    for front in services:
        (template,) = [
            template
            for _, template in pods(objects)
            if front["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        ]
        listened = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
        for port in front["spec"]["ports"]:
            assert listened[port["targetPort"]] == port["port"], front["metadata"]["name"]


def test_every_address_is_that_of_a_service_and_of_one_of_its_ports(objects: list[Object]) -> None:
    offered = {
        (built["metadata"]["name"], str(port["port"]))
        for built in objects
        if built["kind"] == "Service"
        for port in built["spec"]["ports"]
    }
    names = {name for name, _ in offered}
    texts = [variable.get("value", "") for _, variable in variables(objects)]
    texts += [
        text
        for _, template in pods(objects)
        for program in template["spec"]["containers"]
        for text in [*program.get("command", []), *program.get("args", [])]
    ]
    for host, port in (found for text in texts for found in ADDRESS.findall(text) if found[0] != "localhost"):
        # A node of a cluster is asked by its own name before the Service's.
        service = "qdrant-pods" if re.fullmatch(r"qdrant-[0-9]+", host) else host
        assert (service, port) in offered, f"{host}:{port}"
    hosts = {variable["value"] for _, variable in variables(objects) if variable["name"] == "REDIS_HOST"}
    assert hosts <= names


def test_a_secret_is_referred_to_by_a_key_that_the_secret_has(objects: list[Object]) -> None:
    keys = {key.key for key in SECRET_KEYS}
    for owner, variable in variables(objects):
        secret = re.search(r"PASSWORD$|_KEY$|SALT|SECRET|_KEY_ID$|USERNAME$|AUTH$", variable["name"])
        if "valueFrom" in variable:
            assert variable["valueFrom"]["secretKeyRef"]["key"] in keys
        assert bool(secret) == ("valueFrom" in variable), f"{owner}: {variable['name']}"


def test_every_made_key_opens_something() -> None:
    both = [
        built for variant in VARIANTS.values() for _, part in platform(load_settings("cluster", variant), PARTS) for built in part
    ]
    used = {variable["valueFrom"]["secretKeyRef"]["key"] for _, variable in variables(both) if "valueFrom" in variable}
    ours = {key.key for key in SECRET_KEYS if key.needed_by in PARTS}
    assert ours == used
    assert {PUBLIC_KEY, SECRET_KEY} <= ours


def test_a_value_that_is_put_together_names_variables_that_stand_before_it(objects: list[Object]) -> None:
    for _, template in pods(objects):
        for program in template["spec"]["containers"]:
            before: set[str] = set()
            for variable in program.get("env", []):
                assert set(re.findall(r"\$\((\w+)\)", variable.get("value", ""))) <= before
                before.add(variable["name"])


def test_every_mount_is_of_a_volume_and_every_file_of_a_config_map_is_there(objects: list[Object]) -> None:
    files = {built["metadata"]["name"]: built["data"] for built in objects if built["kind"] == "ConfigMap"}
    for built, template in pods(objects):
        volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in built["spec"].get("volumeClaimTemplates", [])}
        for mounted in template["spec"]["containers"][0]["volumeMounts"]:
            assert mounted["name"] in {*volumes, *claims}
            if "subPath" in mounted:
                assert mounted["subPath"] in files[volumes[mounted["name"]]["configMap"]["name"]]


def test_clickhouse_lets_in_one_user_whose_password_is_not_in_its_files() -> None:
    server, users = ElementTree.fromstring(clickhouse.SERVER), ElementTree.fromstring(clickhouse.USERS)
    assert server.find("logger/console") is not None
    (login,) = [user for user in users.findall("users/*") if user.get("remove") is None]
    (password,) = login.findall("password")
    assert password.get("from_env") == clickhouse.PASSWORD
    assert password.text is None


def test_the_servers_are_of_the_versions_that_their_clients_want() -> None:
    from importlib.metadata import version

    cluster = load_settings("cluster", {}).cluster
    client = ".".join(version("qdrant-client").split(".")[:2])
    assert cluster.qdrant.image.startswith(f"qdrant/qdrant:v{client}.")
    web, worker = (image.rpartition(":")[2] for image in (cluster.langfuse.web_image, cluster.langfuse.worker_image))
    assert web == worker
    assert tuple(map(int, web.split("."))) >= (4, 59, 0)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server on this machine")
def test_valkey_starts_behind_the_secrets_password(tmp_path: Path) -> None:
    settings = load_settings("cluster", {})
    _, built = (as_kubernetes_reads_it(thing) for thing in redis(settings, "langfuse"))
    command = built["spec"]["template"]["spec"]["containers"][0]["command"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = command[-1].replace(CONFIGURATION, str(tmp_path / "valkey.conf")).replace("valkey-server", "redis-server")
    here = here.replace("/data", f"{tmp_path}\\nbind 127.0.0.1\\nport {port}")
    with subprocess.Popen([*command[:-1], here], env={"REDIS_PASSWORD": "a-b_c", "PATH": "/usr/bin:/bin"}) as server:
        try:
            assert said(port, b"PING\r\n").startswith(b"-NOAUTH")
            assert said(port, b"AUTH a-b_c\r\n") == b"+OK\r\n"
            policy = said(port, b"AUTH a-b_c\r\nCONFIG GET maxmemory-policy\r\n")
            assert b"noeviction" in policy
        finally:
            server.terminate()
    assert (tmp_path / "valkey.conf").stat().st_mode & 0o077 == 0


def said(port: int, words: bytes) -> bytes:
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as connection:
                connection.sendall(words)
                time.sleep(0.05)
                return connection.recv(4096)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("redis-server did not start")
