"""The InferenceService of the embedding model, behind OpenAI's ``/v1/embeddings``.

The index reaches it with ``index.embedding_model: openai:<served name>`` and
``index.embedding_url: http://embeddings-predictor/v1``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cia.errors import SettingsError
from cia.settings import Settings
from inference_services.autoscaling import fixed
from inference_services.inference_service import inference_service
from inference_services.model_weights import models_of, weights_path
from inference_services.vllm_arguments import server_arguments
from inference_services.vllm_pod import HOST, PORT, VllmPod, environment_without_adapters, predictor_fields

if TYPE_CHECKING:
    from kserve.models import V1beta1InferenceService

NAME = "embeddings"
USED_MEMORY = 0.9
"""Share of a GPU's memory that its slices take together."""


def embeddings_service(settings: Settings) -> V1beta1InferenceService:
    """Return the service: a fixed number of replicas, each on ``embeddings.gpu_slices`` slices of a GPU.

    Raises SettingsError when a GPU has not so many.
    """
    from kserve import models

    embeddings = settings.inference_services.embeddings
    (model,) = models_of(settings, NAME)
    pod = VllmPod(
        model=model,
        arguments=embedding_arguments(settings, weights_path(settings, model)),
        environment=environment_without_adapters(settings),
        gpu=embeddings.gpu_slices,
        cpu=embeddings.cpu,
        memory=embeddings.memory,
    )
    scaling = fixed(embeddings.replicas)
    predictor = models.V1beta1PredictorSpec(**predictor_fields(settings, pod), **scaling.fields)
    return inference_service(settings, NAME, predictor, mode="Standard", annotations=scaling.annotations)


def embedding_arguments(settings: Settings, model: str) -> list[str]:
    """Return vLLM's arguments: a language model read as an encoder, in its part of the GPU's memory.

    stella is a Qwen2 whose every token sees every other (its model card). vLLM reads the pooling and the last dense layer
    from the model's own ``modules.json``; from its configuration it would take the attention for causal.
    """
    services = settings.inference_services
    embeddings = services.embeddings
    if embeddings.gpu_slices > settings.training.gpu_slices:
        raise SettingsError(
            f"inference_services.embeddings.gpu_slices is {embeddings.gpu_slices}, more than the {settings.training.gpu_slices} "
            "slices of a GPU (training.gpu_slices)"
        )
    share = USED_MEMORY * embeddings.gpu_slices / settings.training.gpu_slices
    arguments = [
        *server_arguments(
            model,
            embeddings.served_name,
            host=HOST,
            port=PORT,
            context_tokens=embeddings.context_tokens,
            drain_seconds=services.drain_seconds,
        ),
        "--runner", "pooling",
        "--convert", "embed",
        # OpenAI's vectors have length 1; the layers that stella lists leave them longer.
        "--pooler-config", json.dumps({"use_activation": True}),
        "--gpu-memory-utilization", f"{share:.3f}",
    ]  # fmt: skip
    if embeddings.bidirectional:
        arguments += ["--hf-overrides", json.dumps({"is_causal": False})]
    return arguments
