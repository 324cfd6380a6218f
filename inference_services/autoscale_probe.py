"""The InferenceService that is scaled by its load: a small model on one slice, out to all slices of a GPU and back.

`cia bench load` measures how its replicas follow the requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cia.errors import SettingsError
from cia.settings import Settings
from inference_services.autoscaling import Scaling, by_keda, by_knative
from inference_services.inference_service import inference_service
from inference_services.model_weights import models_of, weights_path
from inference_services.vllm_arguments import server_arguments
from inference_services.vllm_pod import HOST, PORT, VllmPod, environment_without_adapters, predictor_fields

if TYPE_CHECKING:
    from kserve.models import V1beta1InferenceService

NAME = "autoscale-probe"
USED_MEMORY = 0.9
"""Share of a GPU's memory that all replicas on it take together."""


def autoscale_probe_service(settings: Settings) -> V1beta1InferenceService:
    """Return the service, scaled by Knative on concurrency or by KEDA on vLLM's queue.

    Raises SettingsError for a minimum that does not fit, or from which it could not start.
    """
    from kserve import models

    services = settings.inference_services
    probe = services.autoscale_probe
    (model,) = models_of(settings, NAME)
    knative = probe.mode == "Knative"
    pod = VllmPod(
        model=model,
        arguments=probe_arguments(settings, weights_path(settings, model)),
        environment=environment_without_adapters(settings),
        gpu=1,
        cpu=probe.cpu,
        memory=probe.memory,
    )
    scaling = _scaling(settings)
    fields = predictor_fields(settings, pod, knative=knative)
    fields["annotations"] |= scaling.pod_annotations
    predictor = models.V1beta1PredictorSpec(**fields, **scaling.fields)
    return inference_service(settings, NAME, predictor, mode=probe.mode, annotations=scaling.annotations)


def probe_arguments(settings: Settings, model: str) -> list[str]:
    """Return vLLM's arguments: its part of a memory that all slices of a GPU share, and a KV cache of a fixed size.

    Measuring how much is free, as vLLM otherwise does, fails while a neighbour on the same GPU starts or ends.
    """
    services = settings.inference_services
    probe = services.autoscale_probe
    return [
        *server_arguments(
            model,
            NAME,
            host=HOST,
            port=PORT,
            context_tokens=probe.context_tokens,
            drain_seconds=services.drain_seconds,
        ),
        "--gpu-memory-utilization", f"{USED_MEMORY / settings.training.gpu_slices:.3f}",
        "--kv-cache-memory-bytes", str(probe.kv_cache_gib * 1024**3),
        "--enable-prefix-caching",
        "--enable-chunked-prefill",
    ]  # fmt: skip


def _scaling(settings: Settings) -> Scaling:
    services = settings.inference_services
    probe, slices = services.autoscale_probe, settings.training.gpu_slices
    if probe.minimum > slices:
        raise SettingsError(
            f"inference_services.autoscale_probe.minimum is {probe.minimum}, more than the {slices} slices of a GPU "
            "(training.gpu_slices)"
        )
    if probe.mode == "Knative":
        return by_knative(
            probe.minimum,
            slices,
            concurrency=probe.concurrency,
            settle_seconds=probe.settle_seconds,
            start_seconds=services.start_seconds,
        )
    return by_keda(
        probe.minimum,
        slices,
        served_name=NAME,
        concurrency=probe.concurrency,
        settle_seconds=probe.settle_seconds,
        prometheus_url=probe.prometheus_url,
    )
