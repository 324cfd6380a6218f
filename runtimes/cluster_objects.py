"""Every object of this room for a cluster, in the order in which to apply them."""

from __future__ import annotations

from typing import Any

from cia.settings import Settings
from runtimes.base_model_job import base_model_job
from runtimes.gpu_labels import labeller
from runtimes.gpu_sharing import device_plugin, sharing_config
from runtimes.training_runtime import code_assistant_qlora


def cluster_objects(settings: Settings) -> list[dict[str, Any]]:
    """Return what offers GPUs in slices and what TrainJobs run on, as Kubernetes reads it.

    The same settings give the same bytes.
    """
    from kubernetes import client

    gpu = settings.cluster.gpu
    built: list[Any] = [sharing_config(settings)]
    if gpu.device_plugin:
        built += device_plugin(settings)
    if gpu.label_nodes:
        built += labeller(settings)
    if job := base_model_job(settings):
        built.append(job)
    plain = client.ApiClient().sanitize_for_serialization
    return [*(plain(one) for one in built), code_assistant_qlora(settings).to_dict()]
