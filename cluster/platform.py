"""The whole platform, part after part, in the order in which it is applied."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cia.errors import InputError
from cia.settings import Settings
from cluster import access, configuration, index_schedule, namespace, volumes
from cluster.langfuse import objects as langfuse
from cluster.mlflow import objects as mlflow
from cluster.monitoring import objects as monitoring
from cluster.network import policies as network
from cluster.part import NAMESPACE_LABEL, PART_LABEL, Object, Part
from cluster.qdrant import objects as qdrant
from cluster.rag_server import server as rag_server
from inference_services import cluster_objects as inference_services
from inference_services.object_metadata import LABELS
from runtimes import cluster_objects as runtimes

PARTS: tuple[Part, ...] = (
    Part("namespace", "where everything lives", namespace.cluster_objects),
    Part("access", "accounts, and what they may ask the API for", access.cluster_objects),
    Part("network", "who reaches whom, and nothing else", network.cluster_objects),
    Part("configuration", "these settings, as pods read them", configuration.cluster_objects),
    Part("volumes", "the volume that steps, trainings and the server share", volumes.cluster_objects),
    Part("runtimes", "time-sliced GPUs and what TrainJobs run on", runtimes.cluster_objects),
    Part("qdrant", "the index, saved every night", qdrant.cluster_objects),
    Part("mlflow", "the registry of adapters and of runs", mlflow.cluster_objects),
    Part("langfuse", "traces, prompts and scores", langfuse.cluster_objects),
    Part("inference-services", "vLLM behind KServe, and its weights", inference_services.cluster_objects),
    Part("rag-server", "what people ask, with its database, its scaling and the way to it", rag_server.cluster_objects),
    Part("index-schedule", "the index kept up to date", index_schedule.cluster_objects),
    Part("monitoring", "what Prometheus watches, alerts on and Grafana draws", monitoring.cluster_objects),
)


def parts(only: Collection[str] = ()) -> list[Part]:
    """Return the parts named in ``only``, or all, in the order of applying. Raises InputError for one that there is not."""
    unknown = sorted(set(only) - {part.name for part in PARTS})
    if unknown:
        raise InputError(f"there is no part {unknown[0]!r}; write one of {', '.join(part.name for part in PARTS)}")
    return [part for part in PARTS if not only or part.name in only]


def platform(settings: Settings, only: Collection[str] = ()) -> list[tuple[Part, list[Object]]]:
    """Return the parts with their objects, all of them or those named in ``only``, each object labelled with its part.

    Raises InputError for a part that there is not, SettingsError where the settings make no object.
    """
    return [(part, list(_labelled(part, settings))) for part in parts(only)]


def _labelled(part: Part, settings: Settings) -> Iterator[Object]:
    for built in part.objects(settings):
        metadata = built["metadata"]
        labels = {**metadata.get("labels", {}), **LABELS, PART_LABEL: part.name}
        if metadata.get("namespace") != settings.cluster.namespace:
            labels[NAMESPACE_LABEL] = settings.cluster.namespace
        yield {**built, "metadata": {**metadata, "labels": labels}}
