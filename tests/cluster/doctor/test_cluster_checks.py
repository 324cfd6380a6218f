"""What the cluster itself has to have: kinds, controllers, rights, room, storage."""

from __future__ import annotations

from typing import Any

from cluster.doctor.capacity import check_capacity
from cluster.doctor.controllers import check_controllers, check_webhooks
from cluster.doctor.kinds import check_fields, check_kinds
from cluster.doctor.quotas import check_quotas
from cluster.doctor.rights import check_rights
from cluster.doctor.server import check_server
from cluster.doctor.storage import check_claims, check_classes
from tests.cluster.doctor.conftest import Ask
from tests.cluster.doctor.objects_to_apply import HERE, HPA, POLICY, RUNTIME, claim, deployment, service
from tests.cluster.stand_in_cluster import StandInCluster


def test_an_old_server_is_told(cluster: StandInCluster, ask: Ask) -> None:
    assert [finding.state for finding in ask(check_server)] == ["ok", "ok"]
    cluster.answers["/version"] = 200, {"minor": "24+", "gitVersion": "v1.24.9"}
    assert ask(check_server)[1].said == "Kubernetes v1.24.9 lacks what the objects use"
    cluster.answers["/version"] = 200, {"minor": "28", "gitVersion": "v1.28.2"}
    assert "older than the models" in ask(check_server)[1].said


def test_a_missing_kind_says_who_brings_it(cluster: StandInCluster, ask: Ask) -> None:
    assert {finding.state for finding in ask(check_kinds, RUNTIME)} == {"ok"}
    del cluster.kinds["ClusterTrainingRuntime"], cluster.kinds["TrainJob"]
    (runtime, train_job, _) = ask(check_kinds, RUNTIME)
    assert (runtime.state, runtime.said) == (
        "broken",
        "the cluster has no ClusterTrainingRuntime (trainer.kubeflow.org/v1alpha1)",
    )
    assert "install the Kubeflow Trainer; or leave out part" in runtime.fix
    assert train_job.subject == "TrainJob"


def test_a_kind_in_another_version_says_which_are_served(cluster: StandInCluster, ask: Ask) -> None:
    cluster.kinds["ClusterTrainingRuntime"] = ("trainer.kubeflow.org/v2", "clustertrainingruntimes", False)
    del cluster.kinds["TrainJob"]
    assert ask(check_kinds, RUNTIME)[0].said == "we write v1alpha1 of trainer.kubeflow.org, the cluster serves v2"


def test_fields_that_the_clusters_crd_lacks_are_named(cluster: StandInCluster, ask: Ask) -> None:
    open_ended = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    named = {"type": "object", "additionalProperties": {"type": "string"}}
    predictor = {"type": "object", "properties": {"containers": {"type": "array", "items": open_ended}, "nodeSelector": named}}
    spec: dict[str, Any] = {"type": "object", "properties": {"predictor": predictor}}
    whole = {"type": "object", "properties": {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}, "spec": spec}}
    versions = [{"name": "v1beta1", "schema": {"openAPIV3Schema": whole}}]
    cluster.add("CustomResourceDefinition", "inferenceservices.serving.kserve.io", spec={"versions": versions})
    written = service(predictor={"containers": [{"any": 1}], "nodeSelector": {"a": "b"}, "deploymentStrategy": {"type": "x"}})
    fields, canaries = ask(check_fields, written)
    assert (fields.state, fields.said) == ("broken", "the cluster's CRD has no spec.predictor.deploymentStrategy")
    assert (canaries.state, canaries.fix) == ("warning", "update KServe")
    predictor["properties"]["deploymentStrategy"] = open_ended  # type: ignore[index]
    spec["properties"]["canary"] = {"type": "array"}
    assert [finding.state for finding in ask(check_fields, written)] == ["ok"]


def test_a_controller_that_is_not_there_or_not_ready_is_told(cluster: StandInCluster, ask: Ask) -> None:
    absent = ask(check_controllers, service())[0]
    assert (absent.state, absent.subject, absent.fix) == ("broken", "KServe's controller", "install KServe with its controller")
    cluster.add("Deployment", "kserve-controller-manager", "kserve", status={"replicas": 1})
    assert ask(check_controllers, service())[0].said == "no pod of kserve-controller-manager in kserve is ready"
    spec = {"template": {"spec": {"containers": [{"image": "registry.internal/kserve-controller:v0.21.0"}]}}}
    cluster.add("Deployment", "kserve-controller-manager", "kserve", spec=spec, status={"readyReplicas": 1})
    assert ask(check_controllers, service())[0].said == "runs as kserve-controller-manager in kserve (kserve-controller:v0.21.0)"


def test_a_webhook_with_nothing_behind_it_stands_in_the_way(cluster: StandInCluster, ask: Ask) -> None:
    where = {
        "clientConfig": {"service": {"name": "kserve-webhook", "namespace": "kserve"}},
        "rules": [{"apiGroups": ["serving.kserve.io"]}],
    }
    others = {"clientConfig": {"service": {"name": "theirs", "namespace": "other"}}, "rules": [{"apiGroups": ["other.io"]}]}
    hooks = [{"name": "isvc.kserve", **where}, {"name": "theirs", **others}]
    cluster.add("ValidatingWebhookConfiguration", "kserve", webhooks=hooks)
    assert [(finding.state, finding.subject) for finding in ask(check_webhooks, service())] == [("broken", "webhook isvc.kserve")]
    labels = {"kubernetes.io/service-name": "kserve-webhook"}
    cluster.add("EndpointSlice", "w", "kserve", labels=labels, endpoints=[{"conditions": {"ready": False}}])
    assert ask(check_webhooks, service())[0].state == "broken"
    cluster.add("EndpointSlice", "w", "kserve", labels=labels, endpoints=[{"conditions": {"ready": True}}])
    assert ask(check_webhooks, service())[0].state == "ok"


def test_each_right_that_applying_takes_is_asked_for(cluster: StandInCluster, ask: Ask) -> None:
    assert ask(check_rights, POLICY)[0].said == "you may do everything in this cluster"
    cluster.denied |= {(verb, plural) for verb in ("patch", "delete") for plural in ("networkpolicies", "secrets")}
    (policies, secrets, others) = ask(check_rights, POLICY)
    assert (policies.state, policies.subject) == ("broken", f"in {HERE}")
    assert policies.said == "you may not delete, patch networkpolicies.networking.k8s.io"
    role = "create role cia-apply-1 --verb=delete,patch --resource=networkpolicies.networking.k8s.io"
    assert policies.fix.startswith(f"kubectl -n {HERE} {role} && kubectl -n {HERE} create rolebinding cia-apply-1")
    assert policies.fix.endswith("--user=ann")
    assert secrets.said == "you may not patch secrets"
    assert others.state == "ok"
    cluster.denied = {("delete", "networkpolicies")}
    assert ask(check_rights, POLICY)[0].state == "warning"


def test_resources_that_lack_the_same_are_granted_by_one_role(cluster: StandInCluster, ask: Ask) -> None:
    cluster.denied |= {("patch", plural) for plural in ("networkpolicies", "secrets", "clustertrainingruntimes")}
    inside, outside, _ = ask(check_rights, POLICY, RUNTIME)
    assert inside.said == "you may not patch networkpolicies.networking.k8s.io, secrets"
    assert (outside.subject, outside.said) == ("whole cluster", "you may not patch clustertrainingruntimes.trainer.kubeflow.org")
    assert "create clusterrole cia-apply-2" in outside.fix


def test_nobody_may_grant_in_a_role_what_he_has_not_himself(cluster: StandInCluster, ask: Ask) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r", "namespace": HERE},
        "rules": rules,
    }
    cluster.denied.add(("get", "pods"))
    assert ask(check_rights, role)[0].said == "you may not get pods/log"


def test_a_quota_that_is_too_small_says_by_how_much(cluster: StandInCluster, ask: Ask) -> None:
    two = deployment(requests={"cpu": "1500m", "memory": "2Gi"}, limits={"cpu": "2", "memory": "2Gi"})
    cluster.add("ResourceQuota", "small", HERE, spec={"hard": {"requests.cpu": "4", "limits.memory": "8Gi", "pods": "10"}})
    (short,) = ask(check_quotas, two, HPA)
    assert short.said == "small allows 4 of requests.cpu, the selected parts ask for 4500m"
    assert [finding.state for finding in ask(check_quotas, two)] == ["ok"]


def test_a_pod_that_is_larger_than_every_node_that_it_may_run_on_is_told(cluster: StandInCluster, ask: Ask) -> None:
    two = deployment(requests={"cpu": "1500m", "memory": "6Gi"})
    for name, memory in {"small": "4Gi", "large": "8Gi"}.items():
        cluster.add("Node", name, labels={"size": name}, status={"allocatable": {"cpu": "4", "memory": memory}})
    assert [finding.said for finding in ask(check_capacity, two)] == [
        "the selected parts ask for 1500m of 8 cpu, 6Gi of 12Gi memory"
    ]
    two["spec"]["template"]["spec"]["nodeSelector"] = {"size": "small"}
    assert ask(check_capacity, two)[0].said == "a pod asks for 6Gi of memory, the largest node with {'size': 'small'} has 4Gi"
    two["spec"]["replicas"] = 3
    assert ask(check_capacity, two)[1].said == "the selected parts ask for 18Gi, all nodes together have 12Gi"


def test_a_trainings_pod_is_measured_too(cluster: StandInCluster, ask: Ask) -> None:
    cluster.add("Node", "only", status={"allocatable": {"cpu": "4", "memory": "4Gi"}})
    pod = {"containers": [{"resources": {"limits": {"memory": "5Gi"}}}]}
    jobs = [{"template": {"spec": {"template": {"spec": pod}}}}]
    assert ask(check_capacity, {**RUNTIME, "spec": {"template": {"spec": {"replicatedJobs": jobs}}}})[0].state == "broken"


def test_storage_of_a_quota_counts_every_replicas_volume(cluster: StandInCluster, ask: Ask) -> None:
    spec = {"replicas": 3, "volumeClaimTemplates": [claim("ReadWriteOnce")], "template": {"spec": {"containers": []}}}
    stateful = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": HERE}, "spec": spec}
    cluster.add("ResourceQuota", "small", HERE, spec={"hard": {"requests.storage": "25Gi"}})
    assert "allows 25Gi of requests.storage, the selected parts ask for 30Gi" in ask(check_quotas, stateful)[0].said


def test_a_limit_range_that_forbids_a_container_is_told(cluster: StandInCluster, ask: Ask) -> None:
    cluster.add("LimitRange", "most", HERE, spec={"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]})
    (over,) = ask(check_quotas, deployment(limits={"memory": "2Gi"}))
    assert over.said == "does not allow rag 2Gi of memory (at most 1Gi)"
    assert ask(check_quotas, deployment(limits={"memory": "1Gi"}))[0].state == "ok"


def test_a_missing_storage_class_says_which_there_are(cluster: StandInCluster, ask: Ask) -> None:
    assert "the cluster has none" in ask(check_classes, claim("ReadWriteOnce"))[0].fix
    cluster.add("StorageClass", "fast", provisioner="ebs.csi.aws.com")
    (absent,) = ask(check_classes, claim("ReadWriteOnce"))
    assert (absent.said, absent.fix) == ("the cluster has no default storage class", "set cluster.storage_class to one of fast")
    (unknown,) = ask(check_classes, claim("ReadWriteMany", "slow"))
    assert (unknown.said, unknown.fix) == (
        "the cluster has no storage class slow",
        "set cluster.shared_storage_class to one of fast",
    )


def test_what_a_shared_volume_needs_is_told_by_the_provisioner(cluster: StandInCluster, ask: Ask) -> None:
    for name, provisioner in {"block": "ebs.csi.aws.com", "files": "nfs.csi.k8s.io", "other": "example.com/x"}.items():
        cluster.add("StorageClass", name, provisioner=provisioner)
    states = {name: ask(check_classes, claim("ReadWriteMany", name))[0].state for name in ("block", "files", "other")}
    assert states == {"block": "broken", "files": "ok", "other": "warning"}
    assert ask(check_classes, claim("ReadWriteOnce", "block"))[0].state == "ok"


def test_a_claim_without_a_volume_says_why(cluster: StandInCluster, ask: Ask) -> None:
    assert ask(check_claims, claim("ReadWriteOnce")) == []
    cluster.add("PersistentVolumeClaim", "home", HERE, status={"phase": "Pending"})
    about = {"kind": "PersistentVolumeClaim", "name": "home"}
    cluster.add("Event", "1", HERE, involvedObject=about, reason="Old", message="old", lastTimestamp="2026-01-01T00:00:00Z")
    cluster.add(
        "Event", "2", HERE, involvedObject=about, reason="Failed", message="no space\nleft", lastTimestamp="2026-01-02T00:00:00Z"
    )
    (pending,) = ask(check_claims, claim("ReadWriteOnce"))
    assert (pending.state, pending.said) == ("broken", "is Pending: no space left")
    cluster.named("Event", "2", HERE)["reason"] = "WaitForFirstConsumer"
    assert ask(check_claims, claim("ReadWriteOnce"))[0].state == "warning"
    cluster.add("PersistentVolumeClaim", "home", HERE, status={"phase": "Bound"})
    assert ask(check_claims, claim("ReadWriteOnce"))[0].said == "1 of 1 claims have theirs"
