"""What an apply does to each object, and that it does nothing twice."""

from __future__ import annotations

from typing import Any

import pytest

from cia.errors import OperationError
from cluster.apply.planning import MADE_HERE, plan
from cluster.apply.sending import send
from cluster.apply.server import Server
from cluster.part import NAMESPACE_LABEL, Object
from tests.cluster.apply.applying_kubernetes import Cluster
from tests.cluster.apply.objects_of_ours import NAMESPACE, config_map, made, one_part


def outcomes(server: Server, *objects: Object, force: bool = False) -> list[str]:
    found = plan(server, one_part(*objects), force=force)
    assert found.refusals == []
    return [one.outcome for one in send(server, found.changes, force=force)]


def test_what_is_new_is_created_what_differs_is_changed_and_the_rest_stays(cluster: Cluster, server: Server) -> None:
    assert outcomes(server, config_map("a", x="1"), config_map("b", x="1")) == ["created", "created"]
    assert outcomes(server, config_map("a", x="1"), config_map("b", x="2")) == ["unchanged", "changed"]
    assert outcomes(server, config_map("a", x="1"), config_map("b", x="2")) == ["unchanged", "unchanged"]
    stored = cluster.get("v1/configmaps", NAMESPACE, "b")
    assert stored
    assert stored["data"] == {"x": "2"}


def test_a_plan_changes_nothing_and_says_what_would(cluster: Cluster, server: Server) -> None:
    found = plan(server, one_part(config_map("a", x="1")))
    assert [change.outcome for change in found.changes] == ["created"]
    assert cluster.get("v1/configmaps", NAMESPACE, "a") is None
    assert all("dryRun=All" in request.url.query_string for request in cluster.requests("PATCH", "configmaps"))


def test_everything_is_applied_under_the_name_of_one_field_manager_and_never_by_force_unless_told(
    cluster: Cluster, server: Server
) -> None:
    outcomes(server, config_map("a", x="1"))
    assert {request.params["fieldManager"] for request in cluster.requests("PATCH", "configmaps")} == {"cia"}
    assert not cluster.requests("PATCH", "force=")
    outcomes(server, config_map("a", x="1"), force=True)
    assert {request.params["force"] for request in cluster.requests("PATCH", "force=")} == {"True"}


def test_a_status_that_moves_meanwhile_is_no_change(cluster: Cluster, server: Server) -> None:
    deployment = made("Deployment", "rag-server", "apps/v1", spec={"replicas": 1})
    outcomes(server, deployment)
    found = plan(server, one_part(deployment))
    cluster.change("apps/v1/deployments", NAMESPACE, "rag-server", lambda live: live.update(status={"readyReplicas": 1}))
    assert [one.outcome for one in send(server, found.changes)] == ["unchanged"]


def test_a_namespace_is_marked_as_made_here_only_when_it_is(cluster: Cluster, server: Server) -> None:
    ours = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    (theirs_before,) = plan(server, one_part(ours)).changes
    assert MADE_HERE not in theirs_before.built["metadata"].get("annotations", {})
    new: Any = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}}
    (made_here,) = plan(server, one_part(new)).changes
    assert made_here.built["metadata"]["annotations"] == {MADE_HERE: "true"}
    cluster.put("v1/namespaces", {**made_here.built, "status": {"phase": "Active"}})
    (again,) = plan(server, one_part(new)).changes
    assert again.outcome == "unchanged"


def test_a_namespace_that_is_being_deleted_is_not_waited_for(cluster: Cluster, server: Server) -> None:
    cluster.change("v1/namespaces", None, NAMESPACE, lambda live: live.update(status={"phase": "Terminating"}))
    found = plan(server, one_part({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))
    with pytest.raises(OperationError, match="Terminating; wait until it is gone"):
        send(server, found.changes)


def test_two_installations_do_not_take_each_others_objects_of_the_whole_cluster(cluster: Cluster, server: Server) -> None:
    role = made("ClusterRole", "gpu-labels", "rbac.authorization.k8s.io/v1", rules=[])
    role["metadata"]["labels"][NAMESPACE_LABEL] = NAMESPACE
    theirs = {**role, "metadata": {**role["metadata"], "labels": {**role["metadata"]["labels"], NAMESPACE_LABEL: "staging"}}}
    cluster.put("rbac.authorization.k8s.io/v1/clusterroles", theirs)
    assert plan(server, one_part(role)).refusals == []  # nobody is left in staging
    cluster.put("v1/namespaces", {"metadata": {"name": "staging"}})
    (refused,) = plan(server, one_part(role)).refusals
    assert "belongs to the installation in the namespace staging" in str(refused.error)
    assert plan(server, one_part(role), force=True).refusals == []


def test_an_object_of_a_namespace_that_is_not_there_yet_cannot_be_told_and_is_planned(cluster: Cluster, server: Server) -> None:
    cluster.answer(
        "PATCH", "/namespaces/code-assistant/configmaps/a", 404, 'namespaces "code-assistant" not found', kind="namespaces"
    )
    (change,) = plan(server, one_part(config_map("a"))).changes
    assert change.after is None
    assert change.outcome == "created"
