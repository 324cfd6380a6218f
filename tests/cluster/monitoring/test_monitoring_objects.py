"""What is applied for Prometheus and Grafana: only what is asked for, found by who should find it, and small enough."""

from __future__ import annotations

import json

from cluster.monitoring.objects import cluster_objects
from cluster.part import Object
from tests.cluster.network.reachability import Pod, reaches
from tests.cluster.rendered import objects_of, pods_of, settings_of

CONFIG_MAP_BYTES = 1024**2
WITH_METRICS = {"Deployment", "StatefulSet", "InferenceService"}


def built(**variables: str) -> list[Object]:
    return cluster_objects(settings_of(**variables))


def kinds(**variables: str) -> set[str]:
    return {one["kind"] for one in built(**variables)}


def test_only_what_is_asked_for_is_applied() -> None:
    assert kinds(CLUSTER__MONITORING__DEPLOYED="[]") == set()
    assert kinds(CLUSTER__MONITORING__DEPLOYED="[dashboards]") == {"ConfigMap"}
    assert kinds(CLUSTER__MONITORING__DEPLOYED="[rules]") == {"PrometheusRule"}
    assert kinds(CLUSTER__MONITORING__DEPLOYED="[rules]", CLUSTER__MONITORING__ALERT_WEBHOOK="key") == {
        "PrometheusRule",
        "AlertmanagerConfig",
    }
    assert kinds() == {"NetworkPolicy", "ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"}
    assert "DaemonSet" in kinds(CLUSTER__MONITORING__GPU_EXPORTER="true")


def test_what_the_operator_reads_carries_the_labels_by_which_it_looks() -> None:
    objects = built(CLUSTER__MONITORING__LABELS="{prometheus: team}")
    ours = [one["metadata"]["labels"] for one in objects if one["apiVersion"].startswith("monitoring.coreos.com")]
    assert len(ours) == 4
    assert all(labels["prometheus"] == "team" for labels in ours)


def test_each_monitor_finds_the_pods_or_the_service_that_the_platform_has() -> None:
    objects = objects_of(CLUSTER__MONITORING__GPU_EXPORTER="true")
    services = [one for one in objects if one["kind"] == "Service"]
    for monitor in (one["spec"] for one in objects if one["kind"] == "ServiceMonitor"):
        wanted = monitor["selector"]["matchLabels"].items()
        (service,) = (one for one in services if wanted <= one["metadata"]["labels"].items())
        assert monitor["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    for monitor in (one["spec"] for one in objects if one["kind"] == "PodMonitor"):
        wanted = monitor["selector"]["matchLabels"].items()
        exists = {one["key"] for one in monitor["selector"].get("matchExpressions", [])}
        pods = [pod for pod in pods_of(objects) if wanted <= pod.labels.items() and exists <= pod.labels.keys()]
        ports = [[port.get("name") for port in pod.spec["containers"][0]["ports"]] for pod in pods]
        assert ports
        assert all(monitor["podMetricsEndpoints"][0]["port"] in names for names in ports)


def test_prometheus_reaches_what_it_asks_and_its_neighbours_do_not() -> None:
    objects = objects_of()
    policies = [one for one in objects if one["kind"] == "NetworkPolicy"]
    prometheus = Pod("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"})
    grafana = Pod("grafana", "monitoring", {"app.kubernetes.io/name": "grafana"})
    for name, port in {"rag-server": "http", "qdrant": "http", "code-assistant": "http1", "embeddings": "http1"}.items():
        (found,) = (pod for pod in pods_of(objects) if pod.name == name and pod.kind in WITH_METRICS)
        ports = {one["name"]: one["containerPort"] for one in found.spec["containers"][0]["ports"]}
        target = Pod(name, found.namespace, found.labels, ports)
        assert reaches(policies, prometheus, target, ports[port]), name
        assert not reaches(policies, grafana, target, ports[port]), name
    (database,) = (pod for pod in pods_of(objects) if pod.name == "rag-server-postgres")
    assert not reaches(policies, prometheus, Pod("database", database.namespace, database.labels, {"postgres": 5432}), 5432)


def test_grafana_finds_the_dashboards_and_they_fit_into_their_config_maps() -> None:
    maps = [one for one in built() if one["kind"] == "ConfigMap"]
    assert len(maps) == 4
    for one in maps:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((file, text),) = one["data"].items()
        assert len(text) < CONFIG_MAP_BYTES / 10
        dashboard = json.loads(text)
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        assert file.endswith(".json")
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
        assert all(panel["description"] and panel["targets"] and panel["options"]["legend"] for panel in panels)
        assert all(len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) for panel in panels)


def test_two_installations_have_dashboards_of_their_own() -> None:
    first, second = (
        {json.loads(text)["uid"] for one in built(**where) if one["kind"] == "ConfigMap" for text in one["data"].values()}
        for where in ({}, {"CLUSTER__NAMESPACE": "another"})
    )
    assert len(first | second) == len(first) + len(second) == 8
