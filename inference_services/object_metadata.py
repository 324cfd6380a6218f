"""The name, namespace and labels of every object of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cia.settings import Settings

if TYPE_CHECKING:
    from kubernetes.client import V1ObjectMeta

LABELS = {"app.kubernetes.io/part-of": "code-assistant", "app.kubernetes.io/managed-by": "cia"}


def metadata(
    settings: Settings, name: str, *, annotations: dict[str, str] | None = None, namespaced: bool = True
) -> V1ObjectMeta:
    """Return the metadata of the object ``name``, in the namespace of the settings unless it belongs to the whole cluster."""
    from kubernetes import client

    return client.V1ObjectMeta(
        name=name,
        namespace=settings.cluster.namespace if namespaced else None,
        labels={"app.kubernetes.io/name": name, **LABELS},
        annotations=annotations or None,
    )
