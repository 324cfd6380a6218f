"""The platform's pods, and what each of them waits for."""

from __future__ import annotations

from cluster.doctor.examination import Examination
from cluster.part import Object
from inference_services.object_metadata import LABELS

PART_OF = "app.kubernetes.io/part-of"


def our_pods(examination: Examination) -> list[Object]:
    """Return the pods with our label in our namespace."""
    path = f"/api/v1/namespaces/{examination.namespace}/pods"
    return examination.reading.items(path, labelSelector=f"{PART_OF}={LABELS[PART_OF]}")
