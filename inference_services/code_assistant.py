"""The InferenceService of the main model: vLLM with adapters, a replica on each GPU, which it has to itself.

The Service ``code-assistant-predictor`` in front of it is what ``model.base_url`` names. With one GPU an update means minutes
without a model, in which the assistant answers by quoting: there is nowhere to start the new one beside the old.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cia.errors import SettingsError
from cia.settings import Settings
from inference_services.autoscaling import fixed
from inference_services.inference_service import inference_service
from inference_services.model_weights import models_of, weights_path
from inference_services.object_metadata import metadata
from inference_services.vllm_arguments import vllm_arguments, vllm_environment
from inference_services.vllm_pod import COMPILED_GIB, HOST, PORT, VllmPod, as_in_a_pod, predictor_fields

if TYPE_CHECKING:
    from kserve.models import V1beta1InferenceService
    from kubernetes.client import V1PodDisruptionBudget

NAME = "code-assistant"


def code_assistant_service(settings: Settings) -> V1beta1InferenceService:
    """Return the service, with the very arguments and environment that `cia serve --with-vllm` starts vLLM with.

    Raises SettingsError when the settings name no model or registry that a pod could reach, or ask for GPUs that slices are not.
    """
    from kserve import models

    if settings.registry.tracking_uri is None:
        raise SettingsError("registry.tracking_uri is null, a file of this machine; a cluster's vLLM wants the address of MLflow")
    services, serving = settings.inference_services, settings.serving
    model, *draft = models_of(settings, NAME)
    arguments = vllm_arguments(
        settings,
        weights_path(settings, model),
        host=HOST,
        port=PORT,
        draft_model=weights_path(settings, draft[0]) if draft else None,
        drain_seconds=services.drain_seconds,
    )
    pod = VllmPod(
        model=model,
        arguments=arguments,
        environment=vllm_environment(as_in_a_pod(settings)),
        gpu=_slices_of_a_replica(settings),
        cpu=services.cpu,
        memory=services.memory,
        shared_memory=services.shared_memory,
        state_gib=math.ceil(serving.cached_gib) + COMPILED_GIB,
        optional_secrets=services.secret_variables,
    )
    scaling = fixed(services.gpus // serving.tensor_parallel)
    predictor = models.V1beta1PredictorSpec(**predictor_fields(settings, pod), **scaling.fields)
    return inference_service(settings, NAME, predictor, mode="Standard", annotations=scaling.annotations)


def code_assistant_disruption_budget(settings: Settings) -> V1PodDisruptionBudget:
    """Return the budget by which a drain of nodes takes one replica at a time; one that is not ready may always go."""
    from kubernetes import client

    pods = {"serving.kserve.io/inferenceservice": NAME, "component": "predictor"}
    return client.V1PodDisruptionBudget(
        api_version="policy/v1",
        kind="PodDisruptionBudget",
        metadata=metadata(settings, NAME),
        spec=client.V1PodDisruptionBudgetSpec(
            max_unavailable=1,
            selector=client.V1LabelSelector(match_labels=pods),
            unhealthy_pod_eviction_policy="AlwaysAllow",
        ),
    )


def _slices_of_a_replica(settings: Settings) -> int:
    """All slices of a GPU; or, where GPUs are not sliced, as many GPUs as the model is spread over."""
    parallel, slices, gpus = settings.serving.tensor_parallel, settings.training.gpu_slices, settings.inference_services.gpus
    if parallel == 1:
        return slices
    if slices > 1:
        raise SettingsError(
            f"serving.tensor_parallel is {parallel}, but slices of a GPU are not GPUs; set it to 1, "
            "or training.gpu_slices to 1 on nodes that share no GPU"
        )
    if gpus % parallel:
        raise SettingsError(
            f"inference_services.gpus is {gpus}, which replicas of {parallel} GPUs (serving.tensor_parallel) do not use up; "
            f"set it to a multiple of {parallel}"
        )
    return parallel
