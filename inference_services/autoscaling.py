"""How many replicas a service has: a fixed number, or as many as its requests need, by Knative or by KEDA."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cia.errors import SettingsError

AUTOSCALER = "serving.kserve.io/autoscalerClass"


@dataclass(frozen=True)
class Scaling:
    """What a scaling adds: fields of the predictor, annotations of the service, and annotations of its pods."""

    fields: dict[str, Any]
    annotations: dict[str, str] = field(default_factory=dict)
    pod_annotations: dict[str, str] = field(default_factory=dict)


def fixed(replicas: int) -> Scaling:
    """Return a fixed number of replicas. No GPU is spare, so that an old pod has to go before its successor can start."""
    from kubernetes import client

    strategy = client.V1DeploymentStrategy(
        type="RollingUpdate", rolling_update=client.V1RollingUpdateDeployment(max_surge=0, max_unavailable=1)
    )
    # The default autoscaler would watch the CPU, which says nothing about a GPU server.
    return Scaling(
        fields={"min_replicas": replicas, "max_replicas": replicas, "deployment_strategy": strategy},
        annotations={AUTOSCALER: "none"},
    )


def by_knative(minimum: int, maximum: int, *, concurrency: int, settle_seconds: int, start_seconds: int) -> Scaling:
    """Return the scaling of the Knative Pod Autoscaler: ``concurrency`` requests a replica, running or waiting."""
    return Scaling(
        fields={"min_replicas": minimum, "max_replicas": maximum, "scale_metric": "concurrency", "scale_target": concurrency},
        pod_annotations={
            "autoscaling.knative.dev/scale-down-delay": f"{settle_seconds}s",
            # Knative gives a revision ten minutes to become ready and then drops it.
            "serving.knative.dev/progress-deadline": f"{start_seconds + 60}s",
        },
    )


def by_keda(
    minimum: int, maximum: int, *, served_name: str, concurrency: int, settle_seconds: int, prometheus_url: str
) -> Scaling:
    """Return KEDA's scaling on the requests in vLLM, as Prometheus counts them: ``concurrency`` a replica.

    Those that run count like those that wait: by the queue alone a replica that has emptied it would be ended, and missed at
    once. Raises SettingsError for a minimum of 0, from which nothing would ever start: without a pod nobody counts.
    """
    from kserve import models
    from kubernetes import client

    if minimum == 0:
        raise SettingsError(
            "inference_services.autoscale_probe.minimum is 0, from which KEDA never starts a replica, since vLLM counts its "
            "queue itself; set it to 1, or mode to Knative"
        )
    requests = " + ".join(f'sum(vllm:num_requests_{state}{{model_name="{served_name}"}})' for state in ("running", "waiting"))
    metric = models.V1beta1MetricsSpec(
        type="External",
        external=models.V1beta1ExternalMetricSource(
            metric=models.V1beta1ExternalMetrics(backend="prometheus", server_address=prometheus_url, query=requests),
            target=models.V1beta1MetricTarget(type="Value", value=str(concurrency)),
        ),
    )
    behaviour = client.V2HorizontalPodAutoscalerBehavior(
        scale_down=client.V2HPAScalingRules(stabilization_window_seconds=settle_seconds),
        scale_up=client.V2HPAScalingRules(stabilization_window_seconds=0),
    )
    return Scaling(
        fields={
            "min_replicas": minimum,
            "max_replicas": maximum,
            "auto_scaling": models.V1beta1AutoScalingSpec(metrics=[metric], behavior=behaviour),
        },
        annotations={AUTOSCALER: "keda"},
    )
