"""The command and the environment that Kubernetes gives to MLflow, run here as they are, on another database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cia.settings import load_settings
from cluster.mlflow.objects import AUTHORISATION_FOLDER, DATABASE, cluster_objects

SECRETS = {
    "mlflow-username": "registrar",
    "mlflow-password": "a-password-for-this-test",
    "mlflow-session-key": "a-session-key-for-this-test",
    "mlflow-postgres-password": "unused",
}
START_SECONDS = 120


def mlflow_objects(**variables: str) -> dict[str, dict[str, Any]]:
    objects = cluster_objects(load_settings("cluster", {f"CIA_{name}": value for name, value in variables.items()}))
    return {f"{built['kind']}/{built['metadata']['name']}": built for built in objects}


def environment_of(program: dict[str, Any]) -> dict[str, str]:
    values = {}
    for variable in program["env"]:
        reference = variable.get("valueFrom")
        values[variable["name"]] = SECRETS[reference["secretKeyRef"]["key"]] if reference else variable["value"]
    return values


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the very container of the Deployment, with its folders moved under a temporary one."""
    folder = tmp_path_factory.mktemp("mlflow")
    objects = mlflow_objects()
    (program,) = objects["Deployment/mlflow"]["spec"]["template"]["spec"]["containers"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = os.environ.get("MLFLOW_TEST_DATABASE") or f"sqlite:///{folder}/mlflow.db"
    moved = {
        DATABASE: database,
        "/var/lib/mlflow": str(folder / "artifacts"),
        AUTHORISATION_FOLDER: str(folder),
        "--host=0.0.0.0": "--host=127.0.0.1",
        # Two start from an empty SQLite file at once; PostgreSQL makes one wait for the other.
        "--workers=2": "--workers=1",
        "5000": str(port),
    }

    def here(text: str) -> str:
        for there, instead in moved.items():
            text = text.replace(there, instead)
        return text

    for file, content in objects["ConfigMap/mlflow-authorisation"]["data"].items():
        (folder / file).write_text(here(content))
    environment = {name: here(value) for name, value in environment_of(program).items()}
    command = [sys.executable, *program["command"][1:], *map(here, program["args"])]
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PGPASSWORD") if name in os.environ}
    with subprocess.Popen(command, cwd=folder, env={**environment, **inherited}) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(address, headers={"Host": "10.1.2.3:5000"}).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError("MLflow did not start")


@pytest.mark.slow
def test_a_model_is_registered_and_fetched_with_the_secrets_user(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", SECRETS["mlflow-username"])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRETS["mlflow-password"])
    client = mlflow.MlflowClient(server, server)
    run = client.create_run(client.create_experiment("adapters"))
    (tmp_path / "adapter_config.json").write_text("{}")
    client.log_artifact(run.info.run_id, str(tmp_path / "adapter_config.json"), "adapter")
    client.create_registered_model("code-assistant")
    version = client.create_model_version("code-assistant", f"runs:/{run.info.run_id}/adapter", run.info.run_id)
    client.set_registered_model_alias("code-assistant", "Production", version.version)
    assert client.get_model_version_by_alias("code-assistant", "Production").version == version.version
    assert client.list_artifacts(run.info.run_id, "adapter")[0].path == "adapter/adapter_config.json"


@pytest.mark.slow
def test_nobody_is_let_in_without_a_password_or_by_another_name(server: str) -> None:
    search = f"{server}/api/2.0/mlflow/experiments/search?max_results=1"
    known = (SECRETS["mlflow-username"], SECRETS["mlflow-password"])
    port = server.rpartition(":")[2]
    assert httpx.get(search, auth=known).status_code == 200
    assert httpx.get(search, auth=known, headers={"Host": f"mlflow:{port}"}).status_code == 200
    assert httpx.get(search).status_code == 401
    assert httpx.get(search, auth=(known[0], "guessed")).status_code == 401
    refused = httpx.get(search, auth=known, headers={"Host": "mlflow.evil.example"})
    assert refused.status_code == 403


def test_no_address_holds_a_password_and_the_settings_say_where_adapters_lie() -> None:
    on_volume, in_store = mlflow_objects(), mlflow_objects(CLUSTER__MLFLOW__ARTIFACTS="s3")
    assert "PersistentVolumeClaim/mlflow-artifacts" in on_volume
    assert "StatefulSet/mlflow-object-store" in in_store
    for objects in (on_volume, in_store):
        (program,) = objects["Deployment/mlflow"]["spec"]["template"]["spec"]["containers"]
        (address,) = [argument for argument in program["args"] if argument.startswith("--backend-store-uri")]
        assert address == "--backend-store-uri=postgresql+psycopg://mlflow@mlflow-postgres:5432/mlflow"
        assert {variable["name"] for variable in program["env"] if "valueFrom" in variable} >= {"PGPASSWORD"}
    # A volume that one node can mount is handed over only when the old pod is gone.
    assert on_volume["Deployment/mlflow"]["spec"]["strategy"]["type"] == "Recreate"
    assert in_store["Deployment/mlflow"]["spec"]["strategy"]["type"] == "RollingUpdate"


def test_the_names_that_clients_use_are_answered() -> None:
    from cluster.mlflow.objects import allowed_hosts

    settings = load_settings("cluster", {"CIA_CLUSTER__NAMESPACE": "team", "CIA_CLUSTER__MLFLOW__HOSTS": "[mlflow.example.com]"})
    assert settings.registry.tracking_uri == "http://mlflow:5000"
    assert {"mlflow:5000", "mlflow.team.svc.cluster.local:5000", "mlflow.example.com"} <= set(allowed_hosts(settings))
