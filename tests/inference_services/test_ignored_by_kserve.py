"""What KServe would ignore or reject is refused in a sentence that says what to write."""

from __future__ import annotations

from typing import Any

import pytest
from kserve import models
from kubernetes import client

from cia.errors import InputError
from cia.settings import load_settings
from inference_services.inference_service import inference_service

KEDA = {"serving.kserve.io/autoscalerClass": "keda"}
NONE = {"serving.kserve.io/autoscalerClass": "none"}
LIMITS = {"cpu": "1", "memory": "1Gi"}


def container(name: str = "kserve-container", limits: dict[str, str] | None = None, **variables: str) -> client.V1Container:
    return client.V1Container(
        name=name,
        image="server:1",
        env=[client.V1EnvVar(name=variable, value=value) for variable, value in variables.items()],
        resources=client.V1ResourceRequirements(limits=LIMITS if limits is None else limits),
    )


def predictor(**fields: Any) -> models.V1beta1PredictorSpec:
    return models.V1beta1PredictorSpec(**{"containers": [container(STORAGE_URI="pvc://models/a")], **fields})


def canary(percent: int = 10, **fields: Any) -> models.V1beta1CanarySpec:
    changed = {"name": "next", "containers": [container(STORAGE_URI="pvc://models/b")], **fields}
    return models.V1beta1CanarySpec(predictor=models.V1beta1PredictorSpec(**changed), traffic_percent=percent)


def queue(value: str | None = "8", address: str | None = "http://prometheus:9090") -> models.V1beta1MetricsSpec:
    external = models.V1beta1ExternalMetricSource(
        metric=models.V1beta1ExternalMetrics(backend="prometheus", query="sum(queue)", server_address=address),
        target=models.V1beta1MetricTarget(type="Value", value=value),
    )
    return models.V1beta1MetricsSpec(type="External", external=external)


def scaling(*metrics: models.V1beta1MetricsSpec, **rules: Any) -> models.V1beta1AutoScalingSpec:
    behaviour = client.V2HorizontalPodAutoscalerBehavior(scale_down=client.V2HPAScalingRules(**rules)) if rules else None
    return models.V1beta1AutoScalingSpec(metrics=list(metrics), behavior=behaviour)


def build(mode: str, described: models.V1beta1PredictorSpec, name: str = "a", **options: Any) -> models.V1beta1InferenceService:
    return inference_service(load_settings("cluster", {}), name, described, mode=mode, **options)  # type: ignore[arg-type]


def test_what_kserve_does_is_built() -> None:
    service = build("Standard", predictor(min_replicas=2), canaries=[canary(20, min_replicas=1), canary(30, name="other")])
    assert [described.predictor.name for described in service.spec.canary] == ["next", "other"]
    assert build("Standard", predictor(auto_scaling=scaling(queue(), stabilization_window_seconds=60)), annotations=KEDA)
    assert build("Knative", predictor(canary_traffic_percent=10, scale_metric="rps", scale_target=5, container_concurrency=4))


STANDARD = [
    ({"canary_traffic_percent": 10}, "canaryTrafficPercent is Knative's.*write spec.canary"),
    ({"container_concurrency": 4}, "containerConcurrency is Knative's.*--max-num-seqs"),
    ({"scale_metric": "concurrency"}, "scaleMetric concurrency needs the Knative.*keda"),
    ({"scale_metric": "rps", "scale_target": 3}, "scaleMetric rps needs the Knative"),
    ({"annotations": {"autoscaling.knative.dev/target": "5"}}, "annotation autoscaling.knative.dev/target does nothing"),
    ({"scale_metric_type": "Utilization"}, "scaleMetricType is read by no autoscaler"),
    ({"min_replicas": 3, "max_replicas": 2}, "minReplicas 3 is more than maxReplicas 2"),
    ({"min_replicas": 0}, "minReplicas 0 becomes 1"),
    ({"auto_scaling": scaling(queue())}, "type External is not read by .*: hpa, the default; write keda"),
    ({"auto_scaling": scaling(stabilization_window_seconds=9)}, "behavior is not read by"),
    ({"auto_scaling": scaling(), "scale_target": 4}, "not read beside autoScaling"),
    ({"containers": [container(name="vllm")]}, "none of its containers is called kserve-container"),
    ({"containers": [container(PYTHONPATH="/x")]}, "forbids PYTHONPATH"),
    ({"containers": [container(limits={"memory": "1Gi"})]}, "KServe would set 1 CPU and 2Gi"),
    ({"containers": [container(limits={**LIMITS, "nvidia.com/gpu.shared": "1"})]}, "gpu.shared; write nvidia.com/gpu,"),
    ({"storage_uris": [models.V1beta1StorageUri(uri="hf://a/b")]}, "storageUris and the variable STORAGE_URI; write one"),
]


@pytest.mark.parametrize(("fields", "sentence"), STANDARD)
def test_in_standard_mode(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build("Standard", predictor(**fields))


@pytest.mark.parametrize(
    ("fields", "annotations", "sentence"),
    [
        ({}, KEDA, "nothing to scale by; write autoScaling.metrics"),
        ({"auto_scaling": scaling(queue()), "scale_target": 4}, KEDA, "scaleTarget is not read by KEDA"),
        ({"auto_scaling": scaling(queue()), "scale_metric": "cpu"}, KEDA, "scaleMetric is not read by KEDA"),
        ({"auto_scaling": scaling(queue(value=None))}, KEDA, "with target.value alone"),
        ({"auto_scaling": scaling(queue(address=None))}, KEDA, "write metric.serverAddress"),
        ({"auto_scaling": scaling(queue(), select_policy="Max")}, KEDA, "stabilizationWindowSeconds alone"),
        ({"auto_scaling": scaling(queue())}, NONE, "autoScaling does nothing with .*: none"),
        ({"min_replicas": 1, "max_replicas": 3}, NONE, "maxReplicas does nothing with"),
        ({}, {"serving.kserve.io/autoscalerClass": "kpa"}, "'kpa'; write one of hpa, keda, none, external"),
    ],
)
def test_with_an_autoscaler(fields: dict[str, Any], annotations: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build("Standard", predictor(**fields), annotations=annotations)


@pytest.mark.parametrize(
    ("canaries", "stable", "sentence"),
    [
        ([canary(), canary()], {}, "two predictors are called 'next'"),
        ([canary()], {"name": "next"}, "two predictors are called 'next'"),
        ([canary(name=None)], {}, "a canary's predictor has no name"),
        ([canary(max_replicas=2)], {}, "canary next has maxReplicas.*write minReplicas alone"),
        ([canary(scale_target=2)], {}, "canary next has scaleTarget"),
        ([canary(scale_metric="cpu")], {}, "canary next has scaleMetric"),
        ([canary(auto_scaling=scaling())], {}, "canary next has autoScaling"),
        ([canary(min_replicas=2)], {}, "more replicas than the 1 beside it"),
        ([canary(60), canary(50, name="other")], {}, r"\[60, 50\].*no more than 100"),
        ([canary(-1)], {}, r"trafficPercent are \[-1\]"),
        ([canary(deployment_strategy=client.V1DeploymentStrategy())], {}, "deploymentStrategy, which KServe leaves out"),
        ([canary(storage_uris=[models.V1beta1StorageUri(uri="hf://a/b")])], {}, "would start without its model"),
        ([canary(worker_spec=models.V1beta1WorkerSpec())], {}, "runs on one node"),
        ([canary()], {"containers": [container()]}, "write the variable STORAGE_URI, or predictor.model"),
    ],
)
def test_of_a_canary(canaries: list[models.V1beta1CanarySpec], stable: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build("Standard", predictor(**stable), canaries=canaries)


@pytest.mark.parametrize(
    ("fields", "options", "sentence"),
    [
        ({}, {"canaries": [canary()]}, "spec.canary needs .*: Standard"),
        ({"deployment_strategy": client.V1DeploymentStrategy()}, {}, "deploymentStrategy needs a Deployment"),
        ({"auto_scaling": scaling(queue())}, {}, "do nothing in Knative mode; write scaleMetric: concurrency"),
        ({}, {"annotations": KEDA}, "do nothing in Knative mode"),
        ({"scale_metric": "cpu"}, {}, "scaleMetric cpu is not the Knative Pod Autoscaler's"),
        ({"termination_grace_period_seconds": 9}, {}, "no terminationGracePeriodSeconds; write timeout"),
        ({"security_context": client.V1PodSecurityContext()}, {}, "securityContext of containers alone"),
    ],
)
def test_in_knative_mode(fields: dict[str, Any], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build("Knative", predictor(**fields), **options)


def test_a_hook_of_a_container_in_knative_mode() -> None:
    hooked = container()
    hooked.lifecycle = client.V1Lifecycle()
    with pytest.raises(InputError, match="no lifecycle of kserve-container"):
        build("Knative", predictor(containers=[hooked]))


@pytest.mark.parametrize(
    ("mode", "name", "sentence"),
    [
        ("RawDeployment", "a", "RawDeployment is the old name.*deploymentMode: Standard"),
        ("Serverless", "a", "Serverless is the old name.*deploymentMode: Knative"),
        ("ModelMesh", "a", "write serving.kserve.io/deploymentMode: Standard, or Knative"),
        ("Standard", "Code_Assistant", "its name must be of a-z, 0-9 and -"),
    ],
)
def test_a_name_or_mode_that_kserve_would_not_take(mode: str, name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=f"InferenceService {name}: .*{sentence}"):
        build(mode, predictor(), name=name)
