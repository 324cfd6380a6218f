"""Objects as the platform would apply them, small enough to read."""

from __future__ import annotations

from typing import Any

HERE = "code-assistant"
RUNTIME = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "ClusterTrainingRuntime", "metadata": {"name": "qlora"}}
POLICY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "all", "namespace": HERE}}
HPA = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "rag", "namespace": HERE},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "rag"}, "minReplicas": 3},
}


def service(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "vllm", "namespace": HERE, "annotations": spec.pop("annotations", {})}
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata, "spec": spec}


def claim(mode: str, storage_class: str | None = None) -> dict[str, Any]:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "10Gi"}}, "storageClassName": storage_class}
    spec = {key: value for key, value in spec.items() if value}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "home", "namespace": HERE}, "spec": spec}


def deployment(name: str = "rag", **resources: dict[str, str]) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "rag:1", "resources": resources}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": HERE},
        "spec": {"template": {"metadata": {"labels": {"app": name}}, "spec": pod}},
    }
