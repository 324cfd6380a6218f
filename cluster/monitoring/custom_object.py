"""Objects of the Prometheus Operator. No SDK has models of them: they are plain values, and tests hold them to its schemas."""

from __future__ import annotations

from typing import Any

from cia.settings import Settings
from cluster.part import Object
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.object_metadata import metadata

GROUP = "monitoring.coreos.com"


def operator_object(settings: Settings, kind: str, name: str, spec: dict[str, Any], version: str = "v1") -> Object:
    """Return an object of ``kind`` with the labels by which the operator picks it up."""
    named = as_kubernetes_reads_it(metadata(settings, name))
    named["labels"] |= settings.cluster.monitoring.labels
    return {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": named, "spec": spec}
