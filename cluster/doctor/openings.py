"""Whether what our NetworkPolicies leave open leads where it should: to the API server, to names, to other namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning

AREA = "isolation"
API_ENDPOINTS = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"


def check_openings(examination: Examination) -> Iterator[Finding]:
    """Yield the openings that lead nowhere. Policies see a pod's own addresses, not those of the Service in front of it."""
    if examination.of_kind("NetworkPolicy"):
        yield from _to_api_server(examination)
        yield from _to_names(examination)
        yield from _to_namespaces(examination)


def _to_api_server(examination: Examination) -> Iterator[Finding]:
    slices = examination.reading.items(API_ENDPOINTS, labelSelector="kubernetes.io/service-name=kubernetes")
    addresses = sorted(
        {address for one in slices for endpoint in one.get("endpoints") or [] for address in endpoint["addresses"]}
    )
    ports = {int(port["port"]) for one in slices for port in one.get("ports") or [] if port.get("port")}
    ranges = examination.settings.cluster.network.api_server
    closed = [address for address in addresses if not any(ip_address(address) in ip_network(one, strict=False) for one in ranges)]
    if closed:
        one_each = ", ".join(f"{address}/{ip_address(address).max_prefixlen}" for address in closed)
        said = f"is at {', '.join(closed)}, which our pods may not reach"
        yield broken(AREA, "API server", said, f"add {one_each} to cluster.network.api_server")
    opened = examination.settings.cluster.network.api_server_ports
    if unusual := sorted(ports - set(opened)):
        listed = ", ".join(map(str, unusual))
        said = f"listens on {listed}; our policies open {' and '.join(map(str, opened))}"
        yield broken(AREA, "API server's port", said, f"add {listed} to cluster.network.api_server_ports")
    if addresses and not closed and not unusual:
        yield ok(AREA, "API server", f"may be reached at {', '.join(addresses)}")


def _to_names(examination: Examination) -> Iterator[Finding]:
    servers = examination.reading.items("/api/v1/namespaces/kube-system/pods", labelSelector="k8s-app=kube-dns")
    if servers:
        yield ok(AREA, "names", f"{len(servers)} pods of kube-dns in kube-system")
    else:
        said = "no pod in kube-system is labelled k8s-app=kube-dns: our pods may find no names"
        yield warning(AREA, "names", said, "add a NetworkPolicy of your own that lets our pods ask your DNS, on port 53")


def _to_namespaces(examination: Examination) -> Iterator[Finding]:
    for namespace in sorted(set(_namespaces(examination.of_kind("NetworkPolicy"))) - {"kube-system", examination.namespace}):
        if examination.reading.get(f"/api/v1/namespaces/{namespace}") is None:
            setting = _setting(examination, namespace)
            said = f"is not there, and {setting} opens a way to it or from it"
            yield warning(AREA, f"namespace {namespace}", said, f"set {setting} to where they are")


def _namespaces(value: Any) -> Iterator[str]:
    """Yield the names of namespaces that selectors anywhere in ``value`` ask for."""
    if isinstance(value, dict):
        labels = (value.get("namespaceSelector") or {}).get("matchLabels") or {}
        if NAME_OF_NAMESPACE in labels:
            yield labels[NAME_OF_NAMESPACE]
        for inner in value.values():
            yield from _namespaces(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _namespaces(inner)


def _setting(examination: Examination, namespace: str) -> str:
    cluster = examination.settings.cluster
    named = {
        cluster.network.pipelines_namespace: "cluster.network.pipelines_namespace",
        cluster.network.ingress_namespace: "cluster.network.ingress_namespace",
        cluster.monitoring.namespace: "cluster.monitoring.namespace",
    }
    return named.get(namespace, "cluster.network.neighbours")
