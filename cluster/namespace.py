"""The namespace that everything lives in, and what its pods may not do."""

from __future__ import annotations

from cia.settings import Settings
from cluster.part import Object
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.object_metadata import metadata

POD_SECURITY = "pod-security.kubernetes.io"

ENFORCED, WARNED = "baseline", "restricted"
"""Our own pods keep to the restricted standard. The pods that Kubeflow Pipelines puts around a step do so from 2.16 on; enforced,
it would refuse those of an older one, and with them every run."""


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the Namespace, or nothing where it is somebody else's: labels of ours could refuse the pods of others."""
    from kubernetes import client

    if not settings.cluster.own_namespace:
        return []
    described = metadata(settings, settings.cluster.namespace, namespaced=False)
    levels = {"enforce": ENFORCED, "warn": WARNED, "audit": WARNED}
    described.labels |= {f"{POD_SECURITY}/{mode}": level for mode, level in levels.items()}
    return [as_kubernetes_reads_it(client.V1Namespace(api_version="v1", kind="Namespace", metadata=described))]
