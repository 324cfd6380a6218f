"""Who is asked for metrics, and that the network lets Prometheus ask.

A job is called as what it asks: ``rag-server``, ``qdrant``, and each InferenceService by its name. The rules and the
dashboards select by that. MLflow and Langfuse give no metrics; whether they answer, the RAG server tells.
"""

from __future__ import annotations

from typing import Any

from cia.settings import Settings
from cluster.access import RAG_SERVER
from cluster.monitoring.custom_object import operator_object
from cluster.part import Object
from cluster.pod import selected
from cluster.qdrant import objects as qdrant
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.object_metadata import LABELS, metadata

HTTP = "http"
"""The port of the RAG server and of Qdrant, by its name."""

INFERENCE_SERVICE = "serving.kserve.io/inferenceservice"
"""Label of the pods that KServe makes, which says for which service."""

VLLM_PORT = "http1"
GPU_EXPORTER, METRICS = "gpu-exporter", "metrics"
OURS = {"app.kubernetes.io/part-of": LABELS["app.kubernetes.io/part-of"]}


def monitors(settings: Settings) -> list[Object]:
    """Return the monitors of the RAG server, of Qdrant and of every vLLM."""
    # The RAG server's metrics need no credential: they name no user, no repository and no question.
    objects = [
        _service_monitor(settings, RAG_SERVER, {}),
        _service_monitor(
            settings,
            qdrant.NAME,
            {"authorization": {"type": "Bearer", "credentials": {"name": settings.cluster.secret, "key": qdrant.API_KEY}}},
        ),
    ]
    if settings.inference_services.deployed:
        objects.append(_vllm_monitor(settings))
    return objects


def may_be_scraped(settings: Settings) -> Object:
    """Return the policy by which Prometheus, and no other pod of its namespace, reaches our pods where they give metrics.

    vLLM gives them at the port of its API, which asks everybody for the key.
    """
    from kubernetes import client

    prometheus = client.V1NetworkPolicyPeer(
        namespace_selector=client.V1LabelSelector(
            match_labels={"kubernetes.io/metadata.name": settings.cluster.monitoring.namespace}
        ),
        pod_selector=client.V1LabelSelector(match_labels={"app.kubernetes.io/name": "prometheus"}),
    )
    ports = [client.V1NetworkPolicyPort(port=name, protocol="TCP") for name in (HTTP, VLLM_PORT, METRICS)]
    asked = [RAG_SERVER, qdrant.NAME, GPU_EXPORTER, *settings.inference_services.deployed]
    return as_kubernetes_reads_it(
        client.V1NetworkPolicy(
            api_version="networking.k8s.io/v1",
            kind="NetworkPolicy",
            metadata=metadata(settings, "may-be-scraped"),
            spec=client.V1NetworkPolicySpec(
                pod_selector=client.V1LabelSelector(
                    match_labels=OURS,
                    match_expressions=[
                        client.V1LabelSelectorRequirement(key="app.kubernetes.io/name", operator="In", values=asked)
                    ],
                ),
                policy_types=["Ingress"],
                ingress=[client.V1NetworkPolicyIngressRule(_from=[prometheus], ports=ports)],
            ),
        )
    )


def endpoint(settings: Settings, port: str, more: dict[str, Any]) -> dict[str, Any]:
    """Return how a port is asked for metrics."""
    return {"port": port, "path": "/metrics", "interval": f"{settings.cluster.monitoring.scrape_seconds}s", **more}


def _service_monitor(settings: Settings, name: str, more: dict[str, Any]) -> Object:
    spec = {
        "jobLabel": "app.kubernetes.io/name",
        "selector": {"matchLabels": selected(name)},
        "endpoints": [endpoint(settings, HTTP, more)],
    }
    return operator_object(settings, "ServiceMonitor", name, spec)


def _vllm_monitor(settings: Settings) -> Object:
    spec = {
        "jobLabel": INFERENCE_SERVICE,
        "selector": {
            "matchLabels": OURS,
            "matchExpressions": [{"key": INFERENCE_SERVICE, "operator": "Exists"}],
        },
        "podMetricsEndpoints": [endpoint(settings, VLLM_PORT, {})],
    }
    return operator_object(settings, "PodMonitor", "vllm", spec)
