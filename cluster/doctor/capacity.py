"""Whether each pod finds a node that is large enough, before the scheduler says so."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from cluster.doctor.quotas import readable
from cluster.doctor.workloads import Amounts, Workload, total
from cluster.part import Object

AREA = "nodes"
COUNTED = ("cpu", "memory")
"""GPUs have checks of their own."""


def check_capacity(examination: Examination) -> Iterator[Finding]:
    """Yield what no node is large enough for, and what all nodes together are not."""
    nodes = {node["metadata"]["name"]: node for node in examination.reading.items("/api/v1/nodes")}
    if not nodes or not examination.workloads:
        return
    for one in examination.workloads:
        yield from _too_large(one, list(nodes.values()))
    asked = total((one.asked(), one.replicas) for one in examination.workloads if one.lasting and one.kind != "DaemonSet")
    offered = total((_offered(node), 1) for node in nodes.values())
    short = [resource for resource in COUNTED if asked.get(resource, Decimal()) > offered.get(resource, Decimal())]
    for resource in short:
        said = f"the selected parts ask for {readable(asked[resource])}, all nodes together have {readable(offered[resource])}"
        yield warning(AREA, resource, said, "add nodes, or write smaller amounts to the settings")
    if not short:
        amounts = ", ".join(f"{readable(asked.get(one, Decimal()))} of {readable(offered[one])} {one}" for one in COUNTED)
        yield ok(AREA, f"{len(nodes)} nodes", f"the selected parts ask for {amounts}")


def _too_large(workload: Workload, nodes: list[Object]) -> Iterator[Finding]:
    selector = workload.pod.get("nodeSelector") or {}
    eligible = [node for node in nodes if selector.items() <= (node["metadata"].get("labels") or {}).items()]
    asked = workload.asked()
    for resource in COUNTED if eligible else ():  # without a node for its labels the GPU's checks tell
        largest = max(_offered(node).get(resource, Decimal()) for node in eligible)
        if asked.get(resource, Decimal()) > largest:
            where = f"the largest node with {selector}" if selector else "the largest node"
            said = f"a pod asks for {readable(asked[resource])} of {resource}, {where} has {readable(largest)}"
            yield broken(
                AREA, f"{workload.kind} {workload.name}", said, "add a larger node, or write a smaller amount to the settings"
            )


def _offered(node: Object) -> Amounts:
    from kubernetes.utils import parse_quantity

    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return {resource: parse_quantity(allocatable.get(resource, "0")) for resource in COUNTED}
