"""What the accounts of the platform may ask the Kubernetes API for."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.access import cluster_objects
from tests.cluster.rendered import settings_of

TRAINER, KSERVE, ARGO = "trainer.kubeflow.org", "serving.kserve.io", "argoproj.io"


def steps_may(verb: str, group: str, resource: str, name: str = "") -> bool:
    """Whether some rule of the steps' account allows it, in its namespace or, for what has none, in the cluster."""
    roles = [built for built in cluster_objects(settings_of()) if built["kind"] in ("Role", "ClusterRole")]
    return any(_allows(rule, verb, group, resource, name) for role in roles for rule in role["rules"])


def _allows(rule: dict[str, Any], verb: str, group: str, resource: str, name: str) -> bool:
    named = name in rule["resourceNames"] if "resourceNames" in rule else True
    return verb in rule["verbs"] and group in rule["apiGroups"] and resource in rule["resources"] and named


@pytest.mark.parametrize(
    ("verb", "group", "resource", "name"),
    [
        ("create", TRAINER, "trainjobs", ""),
        ("watch", TRAINER, "trainjobs", ""),
        ("delete", TRAINER, "trainjobs", ""),
        ("get", TRAINER, "clustertrainingruntimes", "code-assistant-qlora"),
        ("list", "", "pods", ""),
        ("get", "", "pods/log", ""),
        ("list", "", "events", ""),
        ("patch", KSERVE, "inferenceservices", "code-assistant"),
        # Kubeflow Pipelines' launcher and Argo's executor, in the pod of every step.
        ("create", ARGO, "workflowtaskresults", ""),
        ("get", "", "configmaps", "kfp-launcher"),
        ("get", "", "secrets", "mlpipeline-minio-artifact"),
    ],
)
def test_a_step_may_do_what_it_and_the_containers_around_it_do(verb: str, group: str, resource: str, name: str) -> None:
    assert steps_may(verb, group, resource, name)


@pytest.mark.parametrize(
    ("verb", "group", "resource", "name"),
    [
        ("get", "", "secrets", "code-assistant"),
        ("list", "", "secrets", ""),
        ("create", "", "pods", ""),
        ("create", "", "pods/exec", ""),
        ("patch", KSERVE, "inferenceservices", "embeddings"),
        ("patch", TRAINER, "clustertrainingruntimes", "code-assistant-qlora"),
        ("patch", "", "nodes", "gpu-0"),
        ("create", ARGO, "workflows", ""),
    ],
)
def test_a_step_may_do_no_more(verb: str, group: str, resource: str, name: str) -> None:
    assert not steps_may(verb, group, resource, name)


def test_two_installations_share_no_role_of_the_cluster() -> None:
    def names(namespace: str) -> set[str]:
        built = cluster_objects(settings_of(CLUSTER__NAMESPACE=namespace))
        return {one["metadata"]["name"] for one in built if one["kind"].startswith("Cluster")}

    assert names("here") & names("there") == set()


def test_rights_are_given_to_the_account_that_the_pipelines_run_as() -> None:
    built = cluster_objects(settings_of(PIPELINE__SERVICE_ACCOUNT="runner", CLUSTER__NAMESPACE="team"))
    subjects = [subject for one in built for subject in one.get("subjects", [])]
    assert subjects == [{"kind": "ServiceAccount", "name": "runner", "namespace": "team"}] * 2
