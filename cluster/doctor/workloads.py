"""What runs in pods: each workload's pods, and what they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cluster.part import Object

Amounts = dict[str, Decimal]
"""Resource: amount in its base unit (cores, bytes, slices)."""


@dataclass(frozen=True, slots=True)
class Workload:
    """``replicas`` pods like ``pod``, which is a pod's spec; ``lasting`` when they are meant to run all the time."""

    kind: str
    name: str
    pod: dict[str, Any]
    labels: dict[str, str]
    replicas: int
    lasting: bool

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All its containers, those that run first included."""
        return [*(self.pod.get("initContainers") or []), *(self.pod.get("containers") or [])]

    def asked(self, side: str = "requests") -> Amounts:
        """Return what one of its pods asks for (``requests``) or may take (``limits``).

        First containers run one by one before the others, so that only the largest of them can count for more
        (https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers).
        """
        together: Amounts = {}
        for container in self.pod.get("containers") or []:
            for resource, amount in amounts(container, side).items():
                together[resource] = together.get(resource, Decimal()) + amount
        for container in self.pod.get("initContainers") or []:
            for resource, amount in amounts(container, side).items():
                together[resource] = max(together.get(resource, Decimal()), amount)
        return together


def amounts(container: dict[str, Any], side: str) -> Amounts:
    """Return a container's requests or limits; a resource that has a limit alone asks for as much."""
    from kubernetes.utils import parse_quantity

    resources = container.get("resources") or {}
    stated = dict(resources.get("limits") or {}) | dict(resources.get("requests") or {}) if side == "requests" else None
    given = stated if stated is not None else dict(resources.get(side) or {})
    return {resource: parse_quantity(amount) for resource, amount in given.items()}


def total(asked: Iterable[tuple[Amounts, int]]) -> Amounts:
    """Return the sum of amounts, each so many times."""
    summed: Amounts = {}
    for one, times in asked:
        for resource, amount in one.items():
            summed[resource] = summed.get(resource, Decimal()) + amount * times
    return summed


def workloads(objects: Iterable[Object]) -> list[Workload]:
    """Return the workloads among ``objects``, in their order. A training runtime counts for the TrainJob that uses it."""
    everything = list(objects)
    least = {
        (built["spec"]["scaleTargetRef"]["kind"], built["spec"]["scaleTargetRef"]["name"]): built["spec"].get("minReplicas", 1)
        for built in everything
        if built["kind"] == "HorizontalPodAutoscaler"
    }
    return [
        workload
        for built in everything
        for workload in _workloads(built, least.get((built["kind"], built["metadata"]["name"]), 1))
    ]


def _workloads(built: Object, least: int) -> Iterator[Workload]:
    kind, name, spec = built["kind"], built["metadata"]["name"], built.get("spec") or {}

    def of_template(template: dict[str, Any], replicas: int, *, lasting: bool) -> Workload:
        labels = (template.get("metadata") or {}).get("labels") or {}
        return Workload(kind, name, template["spec"], labels, replicas, lasting)

    if kind in ("Deployment", "StatefulSet"):
        yield of_template(spec["template"], spec.get("replicas", least), lasting=True)
    elif kind == "DaemonSet":
        yield of_template(spec["template"], 1, lasting=True)
    elif kind == "Job":
        yield of_template(spec["template"], spec.get("parallelism", 1), lasting=False)
    elif kind == "CronJob":
        yield of_template(spec["jobTemplate"]["spec"]["template"], 1, lasting=False)
    elif kind == "ClusterTrainingRuntime":
        for replicated in (spec.get("template") or {}).get("spec", {}).get("replicatedJobs") or []:
            yield of_template(replicated["template"]["spec"]["template"], 1, lasting=False)
    elif kind == "InferenceService":
        for predictor in [spec.get("predictor") or {}, *(canary.get("predictor") or {} for canary in spec.get("canary") or [])]:
            labels = {"serving.kserve.io/inferenceservice": name}
            yield Workload(kind, predictor.get("name") or name, predictor, labels, predictor.get("minReplicas", 1), True)
