"""The custom resource definitions that projects publish, as schemas that forbid what they do not know."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

SOURCES = {
    "TRAINER_CRDS": ("trainer", "manifests/base/crds of a checkout of kubeflow/trainer"),
    "KSERVE_CRDS": ("kserve", "config/crd/full of a checkout of kserve/kserve"),
    "KNATIVE_CRDS": ("knative-serving", "config/core/300-resources of a checkout of knative/serving"),
}
"""Variable that names the folder: its name in a folder ``crds`` beside the checkout, and where to get it."""


def published_schema(variable: str, file: str) -> dict[str, Any]:
    """Return the schema of the newest version in the definition ``*file``; skips the test when its folder is not at hand."""
    name, origin = SOURCES[variable]
    beside = sorted(Path(__file__).resolve().parents[2].glob(f"*/crds/{name}"))
    folder = Path(os.environ[variable]) if variable in os.environ else next(iter(beside), None)
    found = sorted(folder.rglob(f"*{file}")) if folder else []
    if not found:
        pytest.skip(f"no published {file}: set {variable} to {origin}")
    version = yaml.safe_load(found[0].read_text())["spec"]["versions"][-1]
    return closed(version["schema"]["openAPIV3Schema"])


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with unknown fields forbidden, which Kubernetes would drop without a word."""
    schema = {key: closed(value) if isinstance(value, dict) else value for key, value in schema.items()}
    described = schema.get("properties")
    if schema.get("type") == "object" and described and schema.get("x-kubernetes-preserve-unknown-fields") is None:
        schema.setdefault("additionalProperties", False)
    if described and "apiVersion" in described and "metadata" in described:
        described["metadata"] = {"type": "object"}
    return schema
