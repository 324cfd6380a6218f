"""The one volume that steps, TrainJobs and the RAG server share."""

from __future__ import annotations

from cia.settings import Settings
from cluster.part import Object
from cluster.workload import volume_claim
from inference_services.cluster_objects import as_kubernetes_reads_it


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the claim for it. Its storage class must give a volume to many nodes at once (ReadWriteMany)."""
    cluster = settings.cluster
    return [as_kubernetes_reads_it(volume_claim(settings, cluster.home_claim, cluster.home_size, shared=True))]
