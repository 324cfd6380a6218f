"""The nodes with GPUs: what they offer, whether our pods may run there, and whether the GPUs are time-sliced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from cluster.part import Object
from runtimes.training_runtime import GPU

AREA = "GPU nodes"
CONDITION = "node.kubernetes.io/"
"""Taints that the cluster itself sets by a node's condition, which is told as such."""

PHYSICAL = "nvidia.com/gpu.count"
"""Label of GPU feature discovery: how many GPUs are in the node."""


@dataclass(frozen=True, slots=True)
class GpuNode:
    """``offered``: slices that the node has for pods; ``obstacles``: findings for what keeps our pods from it."""

    name: str
    offered: int
    obstacles: tuple[Finding, ...]


def gpu_nodes(examination: Examination) -> list[GpuNode]:
    """Return the nodes that have a GPU, by what they offer or by the labels of ``cluster.gpu.node_selector``."""
    selector = examination.settings.cluster.gpu.node_selector
    nodes = [
        node
        for node in examination.reading.items("/api/v1/nodes")
        if _offered(node) or (selector and _has(node["metadata"].get("labels") or {}, selector))
    ]
    return [GpuNode(node["metadata"]["name"], _offered(node), tuple(_obstacles(examination, node))) for node in nodes]


def asks_for_gpus(examination: Examination) -> bool:
    """Return whether anything that is applied, or a TrainJob on it, runs on a GPU."""
    return bool(examination.of_kind("ClusterTrainingRuntime")) or any(GPU in one.asked() for one in examination.workloads)


def check_gpu_nodes(examination: Examination) -> Iterator[Finding]:
    """Yield what each GPU node offers, or what keeps our pods from it."""
    if not asks_for_gpus(examination):
        return
    nodes = gpu_nodes(examination)
    if not nodes:
        label = " ".join(f"{key}={value}" for key, value in examination.settings.cluster.gpu.node_selector.items())
        said = f"no node offers {GPU}, and none has the label {label}"
        yield broken(AREA, GPU, said, f"add a node with a GPU, or label it: kubectl label node NAME {label}")
    for node in nodes:
        yield from node.obstacles
        if not node.obstacles:
            yield ok(AREA, node.name, f"offers {node.offered} of {GPU}")
        yield from _slicing(examination, node)


def _lacking(examination: Examination) -> Callable[[str, str, str, str], Finding]:
    """Return how bad it is that slices and labels are missing: less so while an apply has not brought them yet."""
    where = examination.settings.cluster.gpu.namespace
    ours = [one["metadata"] for one in examination.of_kind("DaemonSet")]
    brought = [one for one in ours if examination.reading.get(f"/apis/apps/v1/namespaces/{where}/daemonsets/{one['name']}")]
    return warning if ours and not brought else broken


def _obstacles(examination: Examination, node: Object) -> Iterator[Finding]:
    name, spec = node["metadata"]["name"], node.get("spec") or {}
    labels, wanted = node["metadata"].get("labels") or {}, examination.settings.training.node_selector
    lacking = _lacking(examination)
    conditions = {one["type"]: one["status"] for one in (node.get("status") or {}).get("conditions") or []}
    if conditions.get("Ready") != "True":
        yield broken(AREA, name, "is not ready", f"kubectl describe node {name}")
    if spec.get("unschedulable"):
        yield broken(AREA, name, "takes no new pods (cordoned)", f"kubectl uncordon {name}")
    if not _offered(node):
        plugin = examination.settings.cluster.gpu.namespace
        fix = f"cia cluster apply --only runtimes; kubectl -n {plugin} get pods -o wide; a device plugin has to run on {name}"
        yield lacking(AREA, name, f"offers no {GPU}: no device plugin runs there", fix)
    if not _has(labels, wanted):
        missing = " ".join(f"{key}={value}" for key, value in wanted.items() if labels.get(key) != value)
        fix = f"kubectl label node {name} {missing}, or set training.node_selector to labels that it has"
        yield lacking(AREA, name, f"lacks the label {missing} (training.node_selector)", fix)
    tolerations = _tolerations(examination)
    for taint in spec.get("taints") or []:
        if taint["key"].startswith(CONDITION) or taint["effect"] == "PreferNoSchedule":
            continue
        if not any(_tolerates(one, taint) for one in tolerations):
            written = f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
            yield broken(
                AREA, name, f"has the taint {written}, which our pods do not tolerate", f"kubectl taint node {name} {written}-"
            )


def _slicing(examination: Examination, node: GpuNode) -> Iterator[Finding]:
    """Yield whether the node shows each of its GPUs as so many slices as the settings say."""
    slices = examination.settings.training.gpu_slices
    labels = next(
        one["metadata"].get("labels") or {}
        for one in examination.reading.items("/api/v1/nodes")
        if one["metadata"]["name"] == node.name
    )
    if not node.offered:
        return
    fix = (
        f"cia cluster apply --only runtimes, whose ConfigMap says {slices} (the GPU operator's ClusterPolicy has to name it), "
        "or set training.gpu_slices to what the node shows"
    )
    count = labels.get(PHYSICAL, "")
    if count.isdecimal():
        if node.offered == int(count) * slices:
            yield ok(AREA, f"slices of {node.name}", f"{count} GPU as {node.offered}")
        else:
            said = f"shows {count} GPU as {node.offered}, not as {int(count) * slices} (training.gpu_slices is {slices})"
            yield _lacking(examination)(AREA, f"slices of {node.name}", said, fix)
    elif node.offered % slices:
        yield broken(AREA, f"slices of {node.name}", f"{node.offered} is no multiple of training.gpu_slices, {slices}", fix)
    elif slices > 1:
        said = f"{node.offered} are taken for slices: without the label {PHYSICAL} it cannot be told how many GPUs there are"
        yield warning(AREA, f"slices of {node.name}", said, f"kubectl label node {node.name} {PHYSICAL}=NUMBER (of GPUs in it)")


def _tolerations(examination: Examination) -> list[dict[str, Any]]:
    on_gpus = [one.pod.get("tolerations") or [] for one in examination.workloads if GPU in one.asked()]
    # A TrainJob's pods tolerate the same.
    return [toleration for some in on_gpus for toleration in some] or [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Return what the scheduler decides (https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration)."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _offered(node: Object) -> int:
    return int(((node.get("status") or {}).get("allocatable") or {}).get(GPU, 0))


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())
