"""Whether each of our Services has pods behind it that answer, and whether the settings lead to one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from cluster.doctor.endpoints import ready_endpoints
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, skipped, warning
from cluster.doctor.pauses import is_stopped
from cluster.doctor.workloads import Workload

AREA = "neighbours"
SIDE_BY_SIDE = 8
PREDICTOR = "-predictor"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A Service, and what its pods are asked over HTTP to see whether they are ready; None: they speak something else."""

    service: str
    port: int
    path: str | None


def check_neighbours(examination: Examination) -> Iterator[Finding]:
    """Yield whether something is ready behind each Service, and whether it answers the API server, which asks in our name."""
    # A policy that drops the question lets it wait for its time to run out.
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield from pool.map(partial(_of_neighbour, examination), _neighbours(examination))


def _of_neighbour(examination: Examination, neighbour: Neighbour) -> Finding:
    reading, namespace, name = examination.reading, examination.namespace, neighbour.service
    look = f"kubectl -n {namespace} get pods,endpointslices; kubectl -n {namespace} describe service {name}"
    if reading.get(f"/api/v1/namespaces/{namespace}/services/{name}") is None:
        return skipped(AREA, name, "there is no such Service yet")
    ready = ready_endpoints(reading, namespace, name)
    if not ready and name.endswith(PREDICTOR) and is_stopped(examination, name.removesuffix(PREDICTOR)):
        return skipped(AREA, name, "is stopped, see the GPU budget")
    if not ready:
        return broken(AREA, name, "no pod behind it is ready", look)
    if neighbour.path is None:
        return ok(AREA, name, f"{ready} ready")
    path = f"/api/v1/namespaces/{namespace}/services/{name}:{neighbour.port}/proxy{neighbour.path}"
    status, _ = reading.status(path)
    if status in (200, 401):
        return ok(AREA, name, f"{ready} ready, answers {neighbour.path}")
    if status in (0, 403, 404, 502, 503, 504):
        # Where policies close it to all but its callers, only the kubelet's probe tells.
        return ok(AREA, name, f"{ready} ready; not asked: a policy, or your rights, keep the API server's proxy from it")
    return warning(AREA, name, f"{ready} ready, but answers {neighbour.path} with {status}", look)


def _neighbours(examination: Examination) -> Iterator[Neighbour]:
    for built in examination.of_kind("Service"):
        spec = built["spec"]
        selector, ports = spec.get("selector") or {}, spec.get("ports") or []
        if selector and ports and built["metadata"].get("namespace") == examination.namespace and spec.get("clusterIP") != "None":
            behind = next((one for one in examination.workloads if selector.items() <= one.labels.items()), None)
            port, path = _asked(behind, ports)
            yield Neighbour(built["metadata"]["name"], port, path)
    for one in examination.workloads:
        if one.kind == "InferenceService":
            # KServe makes this Service; its port 80 leads to the container's first.
            yield Neighbour(f"{one.name}{PREDICTOR}", 80, (_probe(one) or {}).get("path"))


def _asked(behind: Workload | None, ports: list[dict[str, Any]]) -> tuple[int, str | None]:
    """Return the Service's port that leads to what the readiness probe asks, and the path; None when it asks for none."""
    probe = _probe(behind) if behind else None
    if behind and probe:
        numbers = {port.get("name"): port["containerPort"] for one in behind.containers for port in one.get("ports") or []}
        probed = numbers.get(probe["port"], probe["port"])
        for port in ports:
            target = port.get("targetPort", port["port"])
            if numbers.get(target, target) == probed:
                return int(port["port"]), str(probe.get("path", "/"))
    return int(ports[0]["port"]), None


def _probe(workload: Workload) -> dict[str, Any] | None:
    probes = (one.get("readinessProbe") or {} for one in workload.pod.get("containers") or [])
    return next((dict(probe["httpGet"]) for probe in probes if probe.get("httpGet")), None)


def check_addresses(examination: Examination) -> Iterator[Finding]:
    """Yield the settings whose address leads to no Service in the cluster; told when all parts are looked at."""
    if examination.others:
        return
    settings = examination.settings
    addresses = {
        "index.qdrant_url": settings.index.qdrant_url,
        "index.embedding_url": settings.index.embedding_url,
        "model.base_url": settings.model.base_url,
        "registry.tracking_uri": settings.registry.tracking_uri,
        "tracing.langfuse_url": settings.tracing.langfuse_url,
        "tracing.otlp_endpoint": settings.tracing.otlp_endpoint,
        "pipeline.host": settings.pipeline.host,
    }
    ours = {neighbour.service for neighbour in _neighbours(examination)}
    for setting, address in addresses.items():
        service, _, namespace = (
            (urlsplit(address or "").hostname or "").removesuffix(".cluster.local").removesuffix(".svc").partition(".")
        )
        if not service or "." in namespace or service == "localhost" or service.isdecimal():
            continue  # an address outside the cluster
        where = namespace or examination.namespace
        if service in ours and where == examination.namespace:
            continue
        if examination.reading.get(f"/api/v1/namespaces/{where}/services/{service}") is None:
            fix = f"set {setting} to what is there: kubectl -n {where} get services"
            yield warning(AREA, setting, f"is {address}, and there is no Service {service} in {where}", fix)
