"""What is waited for, what is said meanwhile, and that a watch may break."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cluster.apply import waiting, watching
from cluster.apply.readiness import lack
from cluster.apply.server import ATTEMPTS, Server
from cluster.apply.waiting import Pending, wait
from cluster.part import Object
from tests.cluster.apply.applying_kubernetes import Cluster
from tests.cluster.apply.objects_of_ours import NAMESPACE, made

LABELS = {"app": "rag-server"}
READY = {"observedGeneration": 0, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watching, "AGAIN_SECONDS", 0.05)


@pytest.fixture
def deployment(cluster: Cluster) -> Object:
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}}
    return cluster.put("apps/v1/deployments", made("Deployment", "rag-server", "apps/v1", spec=spec))


def becomes_ready(cluster: Cluster, after: float) -> None:
    def change() -> None:
        cluster.change("apps/v1/deployments", NAMESPACE, "rag-server", lambda live: live.update(status=READY))

    threading.Timer(after, change).start()


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "rag-server-1", "namespace": NAMESPACE, "labels": LABELS}, "status": status}


def why(server: Server, deployment: Object) -> str:
    (pending,) = wait(server, [deployment], 0.6)
    return pending.why


def test_it_ends_as_soon_as_everything_is_ready(cluster: Cluster, server: Server, deployment: Object) -> None:
    becomes_ready(cluster, 0.3)
    shown: list[list[Pending]] = []
    assert wait(server, [deployment], 10, shown.append) == []
    assert any("pods" in one.why for pending in shown for one in pending)
    assert shown[-1] == []


@pytest.mark.parametrize("times", [1, 3])
def test_a_watch_that_breaks_in_the_middle_of_a_line_is_begun_anew(
    cluster: Cluster, server: Server, deployment: Object, times: int
) -> None:
    cluster.kubernetes.broken_watches = times
    becomes_ready(cluster, 0.5)
    assert wait(server, [deployment], 10) == []
    assert len(cluster.requests("GET", "deployments.*watch=true")) > times


def test_a_version_that_is_gone_is_listed_again(cluster: Cluster, server: Server, deployment: Object) -> None:
    cluster.answer("GET", "deployments.*watch=true", 410, "too old resource version", times=2)
    becomes_ready(cluster, 0.4)
    assert wait(server, [deployment], 10) == []


def test_a_server_that_may_not_be_listed_is_told_and_not_taken_for_ready(
    cluster: Cluster, server: Server, deployment: Object
) -> None:
    cluster.answer("GET", "deployments", 403, 'User "jane" cannot list resource "deployments" in API group "apps"')
    assert "jane may not list deployments.apps" in why(server, deployment)


def test_a_server_that_restarts_meanwhile_is_waited_for(cluster: Cluster, server: Server, deployment: Object) -> None:
    cluster.answer("GET", "/pods|/events", 503, "apiserver is shutting down")
    cluster.answer("GET", "/deployments", 503, "apiserver is shutting down", times=ATTEMPTS)
    becomes_ready(cluster, 0.3)
    assert wait(server, [deployment], 10) == []


def test_a_pod_that_no_node_takes_says_why(cluster: Cluster, server: Server, deployment: Object) -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/2 nodes: Insufficient nvidia.com/gpu",
    }
    cluster.put("v1/pods", pod(phase="Pending", conditions=[condition]))
    assert "Unschedulable: 0/2 nodes: Insufficient nvidia.com/gpu" in why(server, deployment)


@pytest.mark.parametrize(
    "waiting_state",
    [
        {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "rag:9"'},
        {"reason": "CreateContainerConfigError", "message": 'couldn\'t find key jwt in Secret "code-assistant"'},
    ],
)
def test_a_container_that_cannot_start_says_why(
    cluster: Cluster, server: Server, deployment: Object, waiting_state: dict[str, str]
) -> None:
    cluster.put("v1/pods", pod(phase="Pending", containerStatuses=[{"name": "main", "state": {"waiting": waiting_state}}]))
    assert f"rag-server-1: {waiting_state['reason']}: {waiting_state['message']}" in why(server, deployment)


def test_a_container_that_keeps_crashing_is_quoted(cluster: Cluster, server: Server, deployment: Object) -> None:
    crashed = {
        "name": "main",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}},
        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
    }
    cluster.put("v1/pods", pod(phase="Running", containerStatuses=[crashed]))
    cluster.answer("GET", "pods/rag-server-1/log.*previous=true", 200, "")
    said = why(server, deployment)
    assert "CrashLoopBackOff: back-off 20s (OOMKilled, exit code 137); its last lines: " in said


def test_a_pod_that_was_never_made_is_explained_by_its_owner(cluster: Cluster, server: Server, deployment: Object) -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: team"}
    cluster.change("apps/v1/deployments", NAMESPACE, "rag-server", lambda live: live.update(status={"conditions": [failure]}))
    assert "FailedCreate: exceeded quota: team" in why(server, deployment)


def test_a_claim_that_waits_for_its_first_pod_is_ready_and_one_without_a_class_is_not(cluster: Cluster, server: Server) -> None:
    claim = cluster.put("v1/persistentvolumeclaims", made("PersistentVolumeClaim", "home", status={"phase": "Pending"}))
    event = {
        "metadata": {"name": "home.1", "namespace": NAMESPACE},
        "involvedObject": {"kind": "PersistentVolumeClaim", "name": "home"},
        "type": "Normal",
        "reason": "FailedBinding",
        "message": "no storage class is set",
    }
    cluster.put("v1/events", event)
    assert [one.why for one in wait(server, [claim], 0.4)] == ["no volume is bound to it: FailedBinding: no storage class is set"]
    cluster.put("v1/events", {**event, "reason": "WaitForFirstConsumer", "message": "waiting for first consumer"})
    assert wait(server, [claim], 5) == []


def status_of(kind: str, status: dict[str, Any], **spec: Any) -> Object:
    return {"kind": kind, "metadata": {"name": "x", "generation": 2}, "spec": spec, "status": status}


SEEN = {"observedGeneration": 2}


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (status_of("Deployment", {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1}), "not been looked at"),
        (
            status_of("Deployment", {**SEEN, "updatedReplicas": 2, "replicas": 3, "availableReplicas": 3}, replicas=2),
            "old version",
        ),
        (
            status_of("Deployment", {**SEEN, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}, replicas=2),
            "1 of 2 pods",
        ),
        (status_of("Deployment", SEEN, replicas=0), None),
        (
            status_of("StatefulSet", {**SEEN, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            "0 of 1 pods are of",
        ),
        (status_of("StatefulSet", {**SEEN, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"}), None),
        (status_of("DaemonSet", {**SEEN, "desiredNumberScheduled": 0}), None),
        (status_of("DaemonSet", {**SEEN, "desiredNumberScheduled": 1}), "0 of 1 pods"),
        (status_of("Job", {"conditions": [{"type": "Complete", "status": "True"}]}), None),
        (status_of("InferenceService", {"conditions": [{"type": "Ready", "status": "True"}]}), None),
        (
            status_of("InferenceService", {"conditions": [{"type": "PredictorReady", "status": "False", "message": "no image"}]}),
            "PredictorReady: no image",
        ),
        (status_of("PersistentVolumeClaim", {"phase": "Bound"}), None),
        (status_of("Service", {}), None),
    ],
)
def test_readiness_is_what_the_status_of_the_present_version_says(live: Object, expected: str | None) -> None:
    found = lack(live)
    assert (expected in found.why) if expected and found else (found is None and expected is None)


def test_a_job_that_has_failed_for_good_ends_the_waiting(cluster: Cluster, server: Server) -> None:
    cluster.kubernetes.resources["batch/v1/jobs"] = {"kind": "Job", "namespaced": True, "verbs": ["get", "list", "watch"]}
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
    job = cluster.put("batch/v1/jobs", made("Job", "fill", "batch/v1", spec={}, status=failed))
    (pending,) = wait(server, [job], 60)
    assert pending.final
    assert pending.why == "BackoffLimitExceeded"
