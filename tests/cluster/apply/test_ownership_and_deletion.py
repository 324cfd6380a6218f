"""What may be pruned and deleted: ours by label, never what holds data unless told, never what a controller made."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cia.errors import OperationError
from cia.settings import Settings, load_settings
from cluster.apply import deletion
from cluster.apply.deletion import deletable, delete
from cluster.apply.ownership import owned, prunable
from cluster.apply.planning import MADE_HERE
from cluster.apply.server import Server
from cluster.part import NAMESPACE_LABEL, PART_LABEL, Object
from cluster.platform import platform
from inference_services.object_metadata import LABELS
from tests.cluster.apply.applying_kubernetes import Cluster
from tests.cluster.apply.objects_of_ours import NAMESPACE, config_map, made, one_part

ROLES = "rbac.authorization.k8s.io/v1/clusterroles"


@pytest.fixture
def settings() -> Settings:
    return load_settings("cluster", environment={})


def names(objects: list[Object]) -> list[str]:
    return [live["metadata"]["name"] for live in objects]


def cluster_role(name: str, namespace: str) -> Object:
    role = made("ClusterRole", name, "rbac.authorization.k8s.io/v1")
    role["metadata"]["labels"][NAMESPACE_LABEL] = namespace
    return role


def test_only_what_carries_our_labels_is_ours(cluster: Cluster, server: Server, settings: Settings) -> None:
    cluster.put("v1/configmaps", config_map("ours"))
    cluster.put("v1/configmaps", {"metadata": {"name": "theirs", "namespace": NAMESPACE, "labels": {"app": "x"}}})
    helm = {"app.kubernetes.io/part-of": "code-assistant", "app.kubernetes.io/managed-by": "Helm", PART_LABEL: "access"}
    cluster.put("v1/configmaps", {"metadata": {"name": "helms", "namespace": NAMESPACE, "labels": helm}})
    assert names(owned(server, settings)) == ["ours"]


def test_what_a_controller_made_of_ours_is_not_ours(cluster: Cluster, server: Server, settings: Settings) -> None:
    child = made("Deployment", "code-assistant-predictor", "apps/v1", part="inference-services")
    child["metadata"]["ownerReferences"] = [{"kind": "InferenceService", "name": "code-assistant"}]
    cluster.put("apps/v1/deployments", child)
    assert owned(server, settings) == []


def test_another_installations_objects_of_the_whole_cluster_are_not_ours(
    cluster: Cluster, server: Server, settings: Settings
) -> None:
    cluster.put(ROLES, cluster_role("ours", NAMESPACE))
    cluster.put(ROLES, cluster_role("theirs", "staging"))
    assert names(owned(server, settings)) == ["ours"]


def test_what_is_no_longer_made_is_pruned_but_never_what_holds_data(cluster: Cluster, server: Server, settings: Settings) -> None:
    for name in ("kept", "old"):
        cluster.put("v1/configmaps", config_map(name))
    cluster.put("v1/persistentvolumeclaims", made("PersistentVolumeClaim", "old-data"))
    cluster.put("v1/secrets", made("Secret", "code-assistant", part="secret"))
    assert names(prunable(owned(server, settings), one_part(config_map("kept")))) == ["old"]


def test_pruning_some_parts_leaves_the_others_alone(cluster: Cluster, server: Server, settings: Settings) -> None:
    cluster.put("v1/configmaps", config_map("old"))
    cluster.put("v1/configmaps", made("ConfigMap", "old-dashboard", part="monitoring"))
    assert names(prunable(owned(server, settings, only=["monitoring"]), [])) == ["old-dashboard"]


def test_what_was_once_put_into_another_namespace_is_still_found(cluster: Cluster, server: Server, settings: Settings) -> None:
    dashboard = made("ConfigMap", "dashboard", part="monitoring")
    dashboard["metadata"] |= {"namespace": "grafana", "labels": {**dashboard["metadata"]["labels"], NAMESPACE_LABEL: NAMESPACE}}
    cluster.put("v1/configmaps", dashboard)
    assert names(owned(server, settings)) == ["dashboard"]
    cluster.answer("GET", "/api/v1/configmaps", 403, 'User "jane" cannot list resource "configmaps" in API group ""')
    cluster.put("v1/configmaps", config_map("ours"))
    assert names(owned(server, settings)) == ["ours"]
    assert names(owned(server, settings, [dashboard])) == ["ours", "dashboard"]


def test_a_kind_that_may_not_be_listed_is_remarked_on(cluster: Cluster, server: Server, settings: Settings) -> None:
    message = 'User "jane" cannot list resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope'
    cluster.answer("GET", "/clusterroles", 403, message)
    cluster.put("v1/configmaps", config_map("ours"))
    assert names(owned(server, settings)) == ["ours"]
    assert server.warnings == ["what is left of ClusterRole is not seen: you may not list them"]


def test_what_lies_outside_the_namespace_says_which_installation_it_belongs_to(settings: Settings) -> None:
    for _, objects in platform(settings, ["namespace", "access", "runtimes"]):
        for built in objects:
            is_outside = built["metadata"].get("namespace") != NAMESPACE
            assert (built["metadata"]["labels"].get(NAMESPACE_LABEL) == NAMESPACE) is is_outside


@pytest.fixture
def installed(cluster: Cluster) -> None:
    made_here: dict[str, Any] = {
        "name": NAMESPACE,
        "labels": {**LABELS, PART_LABEL: "namespace", NAMESPACE_LABEL: NAMESPACE},
        "annotations": {MADE_HERE: "true"},
    }
    cluster.put("v1/namespaces", {"metadata": made_here, "status": {"phase": "Active"}})
    cluster.put("v1/configmaps", made("ConfigMap", "role-ish", part="access"))
    cluster.put("v1/configmaps", made("ConfigMap", "vllm", part="inference-services"))
    cluster.put("v1/persistentvolumeclaims", made("PersistentVolumeClaim", "home", part="volumes"))
    cluster.put("v1/persistentvolumeclaims", {"metadata": {"name": "data-qdrant-0", "namespace": NAMESPACE}})
    cluster.put("v1/persistentvolumeclaims", {"metadata": {"name": "data-qdrant-old", "namespace": NAMESPACE}})
    cluster.put("v1/secrets", made("Secret", "code-assistant", part="secret"))


QDRANT = made("StatefulSet", "qdrant", "apps/v1", part="qdrant", spec={"volumeClaimTemplates": [{"metadata": {"name": "data"}}]})


def test_a_deletion_goes_backwards_and_spares_what_holds_data(
    cluster: Cluster, server: Server, settings: Settings, installed: None
) -> None:
    going, staying = deletable(server, settings, [QDRANT])
    assert names(going) == ["vllm", "role-ish"]
    assert sorted(names(staying)) == sorted([NAMESPACE, "home", "code-assistant", "data-qdrant-0"])


def test_with_volumes_goes_all_that_was_made_here_the_namespace_last(
    cluster: Cluster, server: Server, settings: Settings, installed: None
) -> None:
    everything, staying = deletable(server, settings, [QDRANT], volumes=True)
    going = names(everything)
    assert staying == []
    assert going[:2] == ["vllm", "role-ish"]
    assert sorted(going[2:-1]) == ["code-assistant", "data-qdrant-0", "home"]
    assert going[-1] == NAMESPACE


def test_a_namespace_that_was_there_before_stays(cluster: Cluster, server: Server, settings: Settings, installed: None) -> None:
    cluster.change("v1/namespaces", None, NAMESPACE, lambda live: live["metadata"].pop("annotations"))
    going, staying = deletable(server, settings, [], volumes=True)
    assert "Namespace" not in [live["kind"] for live in going]
    assert names(staying) == [NAMESPACE]


def test_a_deletion_takes_exactly_what_was_listed_and_waits_until_it_is_gone(cluster: Cluster, server: Server) -> None:
    live = cluster.put("v1/configmaps", config_map("a"))
    delete(server, [live])
    assert cluster.get("v1/configmaps", NAMESPACE, "a") is None
    (request,) = cluster.requests("DELETE", "configmaps/a")
    assert request.data["preconditions"] == {"uid": live["metadata"]["uid"]}
    delete(server, [live])  # somebody else was faster


def test_what_does_not_go_is_told_with_who_holds_it(cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "LOOK_SECONDS", 0.05)
    held = copy.deepcopy(config_map("a"))
    held["metadata"]["finalizers"] = ["inferenceservice.finalizers"]
    with pytest.raises(OperationError, match=r"ConfigMap a \(held by inferenceservice.finalizers, whose controller has to run\)"):
        delete(server, [cluster.put("v1/configmaps", held)], seconds=0.2)


def test_a_dry_run_deletes_nothing(cluster: Cluster, server: Server) -> None:
    live = cluster.put("v1/configmaps", config_map("a"))
    cluster.answer("DELETE", "configmaps/a", 200)
    delete(server, [live], dry_run=True)
    (request,) = cluster.requests("DELETE", "configmaps/a") or [None]
    assert request is not None
    assert request.data["dryRun"] == ["All"]
