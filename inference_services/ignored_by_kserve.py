"""What KServe would accept in an InferenceService and not do, or reject with a word that helps nobody.

Read from KServe 0.20's webhooks and reconcilers. Each rule yields a sentence that says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cia.errors import InputError
from inference_services.autoscaling import AUTOSCALER

if TYPE_CHECKING:
    from kserve.models import V1beta1InferenceService

DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
MODES = ("Standard", "Knative")
OLD_MODES = {"RawDeployment": "Standard", "Serverless": "Knative"}
AUTOSCALERS = ("hpa", "keda", "none", "external")
KSERVE_CONTAINER = "kserve-container"
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
SCALING_FIELDS = {
    "max_replicas": "maxReplicas",
    "scale_target": "scaleTarget",
    "scale_metric": "scaleMetric",
    "auto_scaling": "autoScaling",
}


def refuse_what_is_ignored(service: V1beta1InferenceService) -> None:
    """Raise InputError with the first thing in ``service`` that KServe would reject, or accept and not do."""
    for sentence in _findings(service):
        raise InputError(f"InferenceService {service.metadata.name}: {sentence}")


def _findings(service: Any) -> Iterator[str]:
    annotations = service.metadata.annotations or {}
    mode = annotations.get(DEPLOYMENT_MODE)
    predictor, canaries = service.spec.predictor, service.spec.canary or []
    yield from _name_and_mode(service.metadata.name, mode)
    yield from _replicas(predictor)
    yield from _containers(predictor)
    if mode == "Standard":
        yield from _knative_fields_in_standard_mode(predictor, annotations)
        yield from _autoscaler(predictor, annotations.get(AUTOSCALER, "hpa"))
        yield from _canaries(predictor, canaries)
    else:
        yield from _standard_fields_in_knative_mode(predictor, annotations, canaries)
        yield from _fields_that_knative_rejects(predictor)


def _name_and_mode(name: str, mode: str | None) -> Iterator[str]:
    if not SERVICE_NAME.fullmatch(name):
        yield "its name must be of a-z, 0-9 and -, begin with a letter and end with none but these"
    if mode in OLD_MODES:
        yield f"{mode} is the old name of a deployment mode; write {DEPLOYMENT_MODE}: {OLD_MODES[mode]}"
    elif mode not in MODES:
        yield f"its deployment mode is {mode!r}, left to the cluster; write {DEPLOYMENT_MODE}: Standard, or Knative"


def _replicas(predictor: Any) -> Iterator[str]:
    least, most = predictor.min_replicas, predictor.max_replicas
    if least is not None and most and least > most:
        yield f"minReplicas {least} is more than maxReplicas {most}; write the smaller first"
    if predictor.scale_metric_type is not None:
        yield "scaleMetricType is read by no autoscaler; write autoScaling.metrics with a target of that type"


def _containers(predictor: Any) -> Iterator[str]:
    containers = predictor.containers or []
    if containers and KSERVE_CONTAINER not in [container.name for container in containers]:
        yield f"none of its containers is called {KSERVE_CONTAINER}, by which KServe knows the one that serves; name it so"
    for container in containers:
        variables = {variable.name for variable in container.env or []}
        if "PYTHONPATH" in variables:
            yield f"KServe forbids PYTHONPATH in {container.name}; install what is needed in the image"
        if "STORAGE_URI" in variables and predictor.storage_uris:
            yield "it has storageUris and the variable STORAGE_URI; write one of them"
        limits = container.resources.limits if container.resources and container.resources.limits else {}
        yield from (
            f"{container.name} asks for {name}; write {name.removesuffix('.shared')}, the name that slices have here, "
            "and a node selector"
            for name in limits
            if name.endswith(".shared")
        )
        if container.name == KSERVE_CONTAINER and not {"cpu", "memory"} <= set(limits):
            yield f"{container.name} has no limit of its own, and KServe would set 1 CPU and 2Gi; write limits of cpu and memory"


def _knative_fields_in_standard_mode(predictor: Any, annotations: dict[str, str]) -> Iterator[str]:
    if predictor.canary_traffic_percent is not None:
        yield (
            "canaryTrafficPercent is Knative's and does nothing in Standard mode; write spec.canary with a predictor of its own "
            "name and trafficPercent"
        )
    if predictor.container_concurrency is not None:
        yield "containerConcurrency is Knative's and does nothing in Standard mode; write --max-num-seqs in vLLM's arguments"
    if predictor.scale_metric in ("concurrency", "rps"):
        yield (
            f"scaleMetric {predictor.scale_metric} needs the Knative Pod Autoscaler and does nothing in Standard mode; "
            f"write {AUTOSCALER}: keda with autoScaling.metrics, or {DEPLOYMENT_MODE}: Knative"
        )
    knative = sorted(name for name in {**annotations, **(predictor.annotations or {})} if ".knative.dev/" in name)
    if knative:
        yield f"the annotation {knative[0]} does nothing in Standard mode; leave it out, or write {DEPLOYMENT_MODE}: Knative"


def _autoscaler(predictor: Any, autoscaler: str) -> Iterator[str]:
    if autoscaler not in AUTOSCALERS:
        yield f"{AUTOSCALER} is {autoscaler!r}; write one of {', '.join(AUTOSCALERS)}"
    elif autoscaler == "keda":
        yield from _keda(predictor)
    elif autoscaler == "hpa":
        yield from _hpa(predictor)
    else:
        scaled = [field for name, field in SCALING_FIELDS.items() if getattr(predictor, name) and name != "max_replicas"]
        if scaled:
            yield f"{scaled[0]} does nothing with {AUTOSCALER}: {autoscaler}; write keda or hpa there, or leave {scaled[0]} out"
        if autoscaler == "none" and predictor.max_replicas not in (None, predictor.min_replicas):
            yield f"maxReplicas does nothing with {AUTOSCALER}: none; write the same number as minReplicas, which all there are"


def _keda(predictor: Any) -> Iterator[str]:
    for name in ("scale_metric", "scale_target"):
        if getattr(predictor, name) is not None:
            yield f"{SCALING_FIELDS[name]} is not read by KEDA; write autoScaling.metrics with a query and target.value"
    scaling = predictor.auto_scaling
    if scaling is None or not scaling.metrics:
        yield "KEDA has nothing to scale by; write autoScaling.metrics"
        return
    for metric in scaling.metrics:
        source = metric.external or metric.podmetric
        if source is not None and source.target.value is None:
            yield "KEDA compares an external metric with target.value alone; write it there"
        if metric.external is not None and not metric.external.metric.server_address:
            yield "KEDA is not told where to ask for its metric; write metric.serverAddress"
    behaviour = scaling.behavior
    for rules in filter(None, (behaviour.scale_down, behaviour.scale_up) if behaviour else ()):
        if rules.policies or rules.select_policy:
            yield "KServe hands KEDA no policies; write stabilizationWindowSeconds alone in autoScaling.behavior"


def _hpa(predictor: Any) -> Iterator[str]:
    scaling = predictor.auto_scaling
    if predictor.min_replicas == 0:
        yield f"minReplicas 0 becomes 1 with {AUTOSCALER}: hpa; write 1, or {DEPLOYMENT_MODE}: Knative"
    if scaling is None:
        return
    for metric in scaling.metrics or []:
        if metric.type != "Resource":
            yield f"a metric of type {metric.type} is not read by {AUTOSCALER}: hpa, the default; write keda there"
    if scaling.behavior is not None:
        yield f"autoScaling.behavior is not read by {AUTOSCALER}: hpa, the default; write keda there"
    if predictor.scale_metric is not None or predictor.scale_target is not None:
        yield "scaleMetric and scaleTarget are not read beside autoScaling; write them as one of its metrics"


def _canaries(stable: Any, canaries: list[Any]) -> Iterator[str]:
    if canaries and stable.model is None and not _has_storage_uri(stable):
        yield "KServe takes a canary beside a predictor with a model only; write the variable STORAGE_URI, or predictor.model"
    names = [stable.name]
    for canary in canaries:
        name = canary.predictor.name
        if not name:
            yield "a canary's predictor has no name; write one that no other predictor here has"
        elif name in names:
            yield f"two predictors are called {name!r}; write another name"
        names.append(name)
        yield from _canary(name, canary.predictor, stable)
    percents = [canary.traffic_percent for canary in canaries]
    if any(not 0 <= percent <= 100 for percent in percents) or sum(percents) > 100:
        yield f"the canaries' trafficPercent are {percents}; write shares that are 0 to 100 and together no more than 100"


def _canary(name: str, predictor: Any, stable: Any) -> Iterator[str]:
    for attribute, field in SCALING_FIELDS.items():
        if getattr(predictor, attribute):
            yield f"canary {name} has {field}, but a canary has a fixed number of replicas; write minReplicas alone"
    if predictor.deployment_strategy is not None:
        yield f"canary {name} has a deploymentStrategy, which KServe leaves out there; leave it out too"
    if predictor.storage_uris or stable.storage_uris:
        yield f"canary {name} would start without its model, since KServe mounts no storageUris there; write STORAGE_URI"
    if predictor.worker_spec is not None:
        yield f"canary {name} has a workerSpec, but a canary runs on one node; leave it out"
    least = 1 if stable.min_replicas is None else stable.min_replicas
    if predictor.min_replicas is not None and predictor.min_replicas > least:
        yield f"canary {name} has more replicas than the {least} beside it; write {least} or fewer as its minReplicas"


def _has_storage_uri(predictor: Any) -> bool:
    return any(variable.name == "STORAGE_URI" for container in predictor.containers or [] for variable in container.env or [])


def _standard_fields_in_knative_mode(predictor: Any, annotations: dict[str, str], canaries: list[Any]) -> Iterator[str]:
    if canaries:
        yield f"spec.canary needs {DEPLOYMENT_MODE}: Standard; write that, or canaryTrafficPercent on the predictor"
    if predictor.deployment_strategy is not None:
        yield "deploymentStrategy needs a Deployment, which Knative has not; leave it out"
    if predictor.auto_scaling is not None or AUTOSCALER in annotations:
        yield (
            f"autoScaling and {AUTOSCALER} do nothing in Knative mode; write scaleMetric: concurrency and scaleTarget, "
            f"or {DEPLOYMENT_MODE}: Standard"
        )
    if predictor.scale_metric not in (None, "concurrency", "rps"):
        yield f"scaleMetric {predictor.scale_metric} is not the Knative Pod Autoscaler's; write concurrency or rps"


def _fields_that_knative_rejects(predictor: Any) -> Iterator[str]:
    if predictor.termination_grace_period_seconds is not None:
        yield "Knative takes no terminationGracePeriodSeconds; write timeout, after which it ends a request"
    if predictor.security_context is not None:
        yield "Knative takes a securityContext of containers alone; write it there"
    for container in predictor.containers or []:
        if container.lifecycle is not None:
            yield f"Knative takes no lifecycle of {container.name}; leave it out: its proxy drains the pod"
