"""What the platform itself lacks: keys, images, pods, neighbours, monitoring, pipelines."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cia.settings import Settings
from cluster.doctor.applied import check_applied
from cluster.doctor.images import check_images
from cluster.doctor.monitoring import check_monitoring, matches
from cluster.doctor.neighbours import check_addresses, check_neighbours
from cluster.doctor.pipelines import check_pipelines
from cluster.doctor.secret import check_secret
from cluster.secret_keys import SECRET_KEYS
from inference_services.object_metadata import LABELS
from tests.cluster.doctor.conftest import Ask
from tests.cluster.stand_in_cluster import StandInCluster

HERE = "code-assistant"
VALUE = base64.b64encode(b"s3cret").decode()


def deployment(name: str = "qdrant", image: str = "qdrant/qdrant:v1", **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": image, **container}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": HERE},
        "spec": {"template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [main]}}},
    }


def in_front_of(name: str, port: int, target: int | str) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": HERE}, "spec": spec}


def wanting(key: str, **reference: Any) -> dict[str, Any]:
    return deployment(env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": HERE, "key": key, **reference}}}])


def test_a_missing_secret_and_a_missing_or_empty_key_are_told(cluster: StandInCluster, ask: Ask) -> None:
    assert [(one.state, one.fix) for one in ask(check_secret, wanting("qdrant-api-key"))] == [
        ("warning", "cia cluster apply makes it")
    ]
    cluster.add("Secret", HERE, HERE, data={"qdrant-api-key": ""})
    _, empty = ask(check_secret, wanting("qdrant-api-key"))
    assert (empty.state, empty.subject, empty.fix) == ("broken", "qdrant-api-key", "cia cluster apply makes them")
    cluster.add("Secret", HERE, HERE, data={"qdrant-api-key": VALUE})
    assert [(one.state, one.said) for one in ask(check_secret, wanting("qdrant-api-key"))] == [("ok", "1 of 1 keys have a value")]


def test_a_key_that_a_person_may_give_comes_with_the_command_that_takes_it(cluster: StandInCluster, ask: Ask) -> None:
    assert next(key for key in SECRET_KEYS if key.key == "hub-token").optional
    cluster.add("Secret", HERE, HERE, data={})
    optional = ask(check_secret, wanting("hub-token", optional=True))[1]
    assert (optional.state, optional.subject) == ("skipped", "hub-token")
    assert "cia cluster secret set KEY" in optional.said


def test_a_key_that_only_a_setting_names_is_told_when_pods_wait_for_it(cluster: StandInCluster, ask: Ask) -> None:
    cluster.add("Secret", HERE, HERE, data={})
    assert ask(check_secret, wanting("of-ours"))[1].subject == "of-ours"
    assert [one.state for one in ask(check_secret, wanting("of-ours", optional=True))] == ["ok"]


def test_an_image_that_was_not_pulled_says_why(cluster: StandInCluster, ask: Ask) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "not found\nat all"}
    status = {"containerStatuses": [{"image": "qdrant/qdrant:v1", "state": {"waiting": waiting}}]}
    cluster.add("Pod", "qdrant-0", HERE, labels=LABELS, status=status)
    (refused,) = ask(check_images, deployment())
    assert (refused.state, refused.subject, refused.said) == ("broken", "qdrant/qdrant:v1", "cannot be pulled: not found at all")


def test_names_that_no_public_registry_serves_ask_for_a_registry(cluster: StandInCluster, ask: Ask) -> None:
    own, theirs = deployment(image="code-assistant-rag:0.1.0"), deployment("plugin", "nvidia/k8s-device-plugin:v1")
    (unnamed,) = ask(check_images, own, theirs, deployment())
    assert unnamed.said.startswith("code-assistant-rag:0.1.0, nvidia/k8s-device-plugin:v1: ")
    assert "cluster.image_registry" in unnamed.fix
    cluster.add("Node", "n", status={"images": [{"names": ["docker.io/library/code-assistant-rag:0.1.0"]}]})
    assert "code-assistant-rag" not in ask(check_images, own, theirs)[0].said
    assert ask(check_images, deployment(image="mirror.internal/code-assistant-rag:0.1.0"))[0].state == "ok"


def test_what_is_missing_of_a_part_is_named(cluster: StandInCluster, ask: Ask) -> None:
    assert ask(check_applied, deployment())[0].said == "nothing is applied yet"
    cluster.add("Service", "qdrant", HERE, labels=LABELS)
    missing = ask(check_applied, deployment(), in_front_of("qdrant", 80, 80))[0]
    assert missing.said == "1 of 2 objects are not there: Deployment qdrant"
    assert missing.fix == "cia cluster apply --only part"


def test_kinds_that_may_not_be_listed_do_not_hide_the_others(cluster: StandInCluster, ask: Ask) -> None:
    cluster.add("Service", "qdrant", HERE, labels=LABELS)
    cluster.denied.add(("list", "deployments"))
    closed, there = ask(check_applied, deployment(), in_front_of("qdrant", 80, 80))
    assert (closed.state, closed.subject) == ("warning", "deployments")
    assert there.said == "1 of 1 objects are there"


def test_an_object_of_another_installation_is_not_ours(cluster: StandInCluster, ask: Ask) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r", "namespace": HERE}}
    cluster.add("Role", "r", HERE, labels={**LABELS, "code-assistant/namespace": "another"})
    assert ask(check_applied, role)[0].said == "nothing is applied yet"


def test_a_service_without_ready_pods_is_broken_and_one_that_answers_is_not(cluster: StandInCluster, ask: Ask) -> None:
    probe = {"httpGet": {"path": "/readyz", "port": "http"}}
    objects = deployment(ports=[{"name": "http", "containerPort": 6333}], readinessProbe=probe), in_front_of("qdrant", 80, "http")
    assert ask(check_neighbours, *objects)[0].state == "skipped"
    cluster.add("Service", "qdrant", HERE)
    assert ask(check_neighbours, *objects)[0].said == "no pod behind it is ready"
    cluster.add("EndpointSlice", "q", HERE, labels={"kubernetes.io/service-name": "qdrant"}, endpoints=[{}])
    proxy = f"/api/v1/namespaces/{HERE}/services/qdrant:80/proxy/readyz"
    answers = {200: "1 ready, answers /readyz", 500: "1 ready, but answers /readyz with 500", 503: "1 ready; not asked: "}
    for status, said in answers.items():
        cluster.answers[proxy] = status, {}
        assert ask(check_neighbours, *objects)[0].said.startswith(said)


def test_what_speaks_no_http_is_judged_by_its_pods_alone(cluster: StandInCluster, ask: Ask) -> None:
    cluster.add("Service", "redis", HERE)
    cluster.add("EndpointSlice", "r", HERE, labels={"kubernetes.io/service-name": "redis"}, endpoints=[{}])
    assert ask(check_neighbours, deployment("redis"), in_front_of("redis", 6379, 6379))[0].said == "1 ready"
    assert not any("proxy" in path for _, path in cluster.requests)


def test_an_address_in_the_settings_that_leads_nowhere_is_told(cluster: StandInCluster, ask: Ask, settings: Settings) -> None:
    index = settings.index.model_copy(update={"qdrant_url": "http://qdrnt.state.svc.cluster.local:6333"})
    told = {one.subject: one.said for one in ask(check_addresses, settings=settings.model_copy(update={"index": index}))}
    assert told["index.qdrant_url"] == "is http://qdrnt.state.svc.cluster.local:6333, and there is no Service qdrnt in state"
    cluster.add("Service", "qdrnt", "state")
    assert "index.qdrant_url" not in {
        one.subject for one in ask(check_addresses, settings=settings.model_copy(update={"index": index}))
    }
    outside = settings.index.model_copy(update={"qdrant_url": "https://qdrant.example.com"})
    assert "index.qdrant_url" not in {
        one.subject for one in ask(check_addresses, settings=settings.model_copy(update={"index": outside}))
    }


def test_monitors_that_no_prometheus_selects_are_told(cluster: StandInCluster, ask: Ask) -> None:
    monitor = {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor"}
    monitor["metadata"] = {"name": "rag", "namespace": HERE, "labels": {"release": "ours"}}  # type: ignore[assignment]
    assert "there is no Prometheus object" in ask(check_monitoring, monitor)[0].said
    selectors: dict[str, Any] = {
        "serviceMonitorSelector": {"matchLabels": {"release": "stack"}},
        "serviceMonitorNamespaceSelector": {},
    }
    cluster.add("Prometheus", "k8s", "monitoring", spec=selectors)
    assert ask(check_monitoring, monitor)[0].said == "k8s in monitoring does not select them"
    selectors["serviceMonitorSelector"] = {}
    assert ask(check_monitoring, monitor)[0].said == "k8s in monitoring takes up all 1"
    del selectors["serviceMonitorNamespaceSelector"]  # then its own namespace alone
    assert ask(check_monitoring, monitor)[0].state == "warning"


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not matches(None, {"a": "1"})
    assert matches({}, {"a": "1"})


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"key": "a", "operator": "In", "values": ["1"]}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "b", "operator": "DoesNotExist"}, True),
    ],
)
def test_label_selectors_select_as_the_api_says(expression: dict[str, Any], holds: bool) -> None:
    assert matches({"matchExpressions": [expression]}, {"a": "1"}) is holds


def test_runs_have_to_be_where_the_secret_is(cluster: StandInCluster, ask: Ask) -> None:
    assert ask(check_pipelines)[0].said == "there is no Service ml-pipeline in kubeflow"
    cluster.add("Service", "ml-pipeline", "kubeflow")
    assert ask(check_pipelines)[0].said == "no pod behind ml-pipeline in kubeflow is ready"
    cluster.add("EndpointSlice", "m", "kubeflow", labels={"kubernetes.io/service-name": "ml-pipeline"}, endpoints=[{}])
    healthz = "/api/v1/namespaces/kubeflow/services/ml-pipeline:8888/proxy/apis/v2beta1/healthz"
    cluster.answers[healthz] = 200, {"tag_name": "2.5.0"}
    answers, namespace = ask(check_pipelines)
    assert answers.said == "answers in kubeflow, version 2.5.0"
    assert (namespace.state, namespace.fix) == ("broken", "set cluster.namespace to kubeflow")
    cluster.answers[healthz] = 200, {"multi_user": True}
    assert ask(check_pipelines)[1].fix == "make a Profile called code-assistant"
    cluster.add("Namespace", HERE, labels={"app.kubernetes.io/part-of": "kubeflow-profile"})
    assert ask(check_pipelines)[1].state == "ok"
