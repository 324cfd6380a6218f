"""A restore is one call from outside the cluster, and its failure says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cia.errors import OperationError
from cia.settings import load_settings
from cli.main import run
from cluster.apply.server import Server
from cluster.connection import connect
from cluster.qdrant.restoring import JOB_LABEL, restore_in_cluster
from tests.cluster.apply.applying_kubernetes import Answer, Cluster
from tests.kubeconfig import use_kubeconfig

SETTINGS = load_settings("cluster", {})
NAMESPACE = SETTINGS.cluster.namespace


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    stand_in = Cluster()
    verbs = ["get", "list", "patch"]
    stand_in.kubernetes.resources["batch/v1/jobs"] = {"kind": "Job", "namespaced": True, "verbs": verbs}
    use_kubeconfig(tmp_path, stand_in.url, monkeypatch)
    yield stand_in
    stand_in.close()


def the_controller(cluster: Cluster, says: str, ends_as: str) -> tuple[list[str], Any]:
    """What is told meanwhile, and what Kubernetes does while a job is waited for: a pod, its output, its end."""
    told: list[str] = []

    def pause(seconds: float) -> None:
        job = next(made for (_, _, name), made in cluster.kubernetes.objects.items() if name.startswith("qdrant-restore"))
        name = job["metadata"]["name"]
        if len(told) == 1:
            labels = {JOB_LABEL: name}
            cluster.put("v1/pods", {"metadata": {"name": f"{name}-x", "namespace": NAMESPACE, "labels": labels}})
            cluster.kubernetes.answers.append(Answer("GET", f"pods/{name}-x/log", 200, says))  # type: ignore[arg-type]
        else:
            conditions = [{"type": ends_as, "status": "True", "message": "Job has reached the specified backoff limit"}]
            cluster.change("batch/v1/jobs", NAMESPACE, name, lambda made: made.update(status={"conditions": conditions}))

    return told, pause


def test_a_restore_is_waited_for_and_says_what_it_restored(cluster: Cluster) -> None:
    told, pause = the_controller(cluster, "restored 20261121T023000Z", "Complete")
    said = restore_in_cluster(Server(connect()), SETTINGS, "latest", lambda stage, done, total: told.append(stage), pause)
    assert "restored 20261121T023000Z" in said
    assert told[0] == "waiting for the job's pod"
    (applied,) = cluster.requests("PATCH", "qdrant-restore-")
    assert "latest" in applied.data["spec"]["template"]["spec"]["containers"][0]["args"]


def test_a_restore_that_fails_says_why(cluster: Cluster) -> None:
    told, pause = the_controller(cluster, "error: there is no snapshot 'yesterday'", "Failed")
    with pytest.raises(OperationError, match=r"failed: .*no snapshot 'yesterday'.*kubectl logs job/qdrant-restore-"):
        restore_in_cluster(Server(connect()), SETTINGS, "yesterday", lambda stage, done, total: told.append(stage), pause)


def test_the_command_asks_first_and_prints_what_the_job_said(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    done = {"type": "Complete", "status": "True"}
    job = {"kind": "Job", "metadata": {"name": "qdrant-restore-1", "namespace": NAMESPACE}, "status": {"conditions": [done]}}
    cluster.put("v1/pods", {"metadata": {"name": "p", "namespace": NAMESPACE, "labels": {JOB_LABEL: "qdrant-restore-1"}}})
    cluster.kubernetes.answers.append(Answer("GET", r"jobs/qdrant-restore-\d+", 200, job))
    cluster.kubernetes.answers.append(Answer("GET", "pods/p/log", 200, "restored 2026-11-20T02-30-00"))  # type: ignore[arg-type]
    assert run(["cluster", "restore-index"]) == 2
    assert "--yes goes on without asking" in capsys.readouterr().err
    assert not any(name.startswith("qdrant-restore") for (_, _, name) in cluster.kubernetes.objects)
    assert run(["cluster", "restore-index", "--yes"]) == 0
    assert "restored 2026-11-20T02-30-00" in capsys.readouterr().out
