"""Every object of this room for a cluster, in the order in which to apply them."""

from __future__ import annotations

from typing import Any

from cia.settings import Settings
from inference_services.autoscale_probe import autoscale_probe_service
from inference_services.code_assistant import code_assistant_disruption_budget, code_assistant_service
from inference_services.embeddings import embeddings_service
from inference_services.model_weights import weights_objects


def cluster_objects(settings: Settings) -> list[dict[str, Any]]:
    """Return the objects of ``inference_services.deployed`` as Kubernetes reads them, the weights first.

    The same settings give the same bytes. Pods that start before the weights are there fail and are started again.
    Raises SettingsError or InputError that says what to write.
    """
    deployed = settings.inference_services.deployed
    objects = weights_objects(settings)
    if "embeddings" in deployed:
        objects.append(embeddings_service(settings))
    if "code-assistant" in deployed:
        objects += [code_assistant_service(settings), code_assistant_disruption_budget(settings)]
    if "autoscale-probe" in deployed:
        objects.append(autoscale_probe_service(settings))
    return [as_kubernetes_reads_it(built) for built in objects]


def as_kubernetes_reads_it(built: Any) -> dict[str, Any]:
    """Return an object built from a model of KServe or Kubernetes as plain values, without what is not set."""
    from kubernetes import client

    plain: dict[str, Any] = client.ApiClient().sanitize_for_serialization(built)
    return plain
