"""The whole platform, part after part, in the order in which it is applied."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cia.errors import InputError
from cia.settings import Settings
from cluster.part import NAMESPACE_LABEL, PART_LABEL, Object, Part
from inference_services.object_metadata import LABELS


def _namespace(settings: Settings) -> list[Object]:
    from cluster.namespace import cluster_objects

    return cluster_objects(settings)


def _access(settings: Settings) -> list[Object]:
    from cluster.access import cluster_objects

    return cluster_objects(settings)


def _configuration(settings: Settings) -> list[Object]:
    from cluster.configuration import cluster_objects

    return cluster_objects(settings)


def _volumes(settings: Settings) -> list[Object]:
    from cluster.volumes import cluster_objects

    return cluster_objects(settings)


def _runtimes(settings: Settings) -> list[Object]:
    from runtimes.cluster_objects import cluster_objects

    return cluster_objects(settings)


def _inference_services(settings: Settings) -> list[Object]:
    from inference_services.cluster_objects import cluster_objects

    return cluster_objects(settings)


PARTS: tuple[Part, ...] = (
    Part("namespace", "where everything lives", _namespace),
    Part("access", "accounts, and what they may ask the API for", _access),
    Part("configuration", "these settings, as pods read them", _configuration),
    Part("volumes", "the volume that steps, trainings and the server share", _volumes),
    Part("runtimes", "time-sliced GPUs and what TrainJobs run on", _runtimes),
    Part("inference-services", "vLLM behind KServe, and its weights", _inference_services),
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
