"""The platform as it would be applied, and every pod that would come of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cia.settings import Settings, load_settings
from cluster.platform import platform

Object = dict[str, Any]


def settings_of(**variables: str) -> Settings:
    """The cluster's settings, with variables on top: ``CLUSTER__OUTSIDE="[...]"``."""
    return load_settings("cluster", {f"CIA_{name}": value for name, value in variables.items()})


def objects_of(**variables: str) -> list[Object]:
    """Every object of the platform."""
    return [built for _, objects in platform(settings_of(**variables)) for built in objects]


@dataclass(frozen=True, slots=True)
class RenderedPod:
    """A pod's template: of which object, with which labels and annotations, and its spec."""

    kind: str
    name: str
    namespace: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of its containers, those that run first too."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def pods_of(objects: list[Object]) -> list[RenderedPod]:
    """Every pod's template in ``objects``."""
    return [pod for built in objects for pod in _pods(built)]


def _pods(built: Object) -> Iterator[RenderedPod]:
    kind, metadata, spec = built["kind"], built["metadata"], built.get("spec", {})
    namespace = metadata.get("namespace", "code-assistant")

    def pod(template: dict[str, Any]) -> RenderedPod:
        labels = template.get("metadata", {}).get("labels", {})
        return RenderedPod(kind, metadata["name"], namespace, labels, template["spec"])

    if kind == "InferenceService":
        # KServe hands the labels of a service, and of its predictor, on to its pods.
        predictor = spec["predictor"]
        labels = {**metadata["labels"], **predictor.get("labels", {}), "serving.kserve.io/inferenceservice": metadata["name"]}
        yield RenderedPod(kind, metadata["name"], namespace, labels, predictor)
    elif kind == "CronJob":
        yield pod(spec["jobTemplate"]["spec"]["template"])
    elif kind == "ClusterTrainingRuntime":
        for job in spec["template"]["spec"]["replicatedJobs"]:
            yield pod(job["template"]["spec"]["template"])
    elif "containers" in spec.get("template", {}).get("spec", {}):
        yield pod(spec["template"])
