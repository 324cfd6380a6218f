"""Objects as ``platform`` gives them."""

from __future__ import annotations

from typing import Any

from cluster.part import PART_LABEL, Object, Part
from inference_services.object_metadata import LABELS

NAMESPACE = "code-assistant"


def made(kind: str, name: str, api_version: str = "v1", *, part: str = "access", **content: Any) -> Object:
    """Return an object as ``platform`` gives it."""
    metadata: dict[str, Any] = {"name": name, "labels": {**LABELS, PART_LABEL: part}}
    if kind != "ClusterRole":
        metadata["namespace"] = NAMESPACE
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def config_map(name: str = "params", **data: str) -> Object:
    """Return a ConfigMap of ours."""
    return made("ConfigMap", name, data=data)


def one_part(*objects: Object, name: str = "access") -> list[tuple[Part, list[Object]]]:
    """Return the objects as the one part of a platform."""
    return [(Part(name, "", lambda _: list(objects)), list(objects))]
