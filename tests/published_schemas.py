"""The custom resource definitions that projects publish, as schemas that forbid what they do not know."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft7Validator

SOURCES = {
    "TRAINER_CRDS": ("trainer", "manifests/base/crds of a checkout of kubeflow/trainer"),
    "KSERVE_CRDS": ("kserve", "config/crd/full of a checkout of kserve/kserve"),
    "KNATIVE_CRDS": ("knative-serving", "config/core/300-resources of a checkout of knative/serving"),
}
"""Variable that names the folder: its name in a folder ``crds`` beside the checkout, and where to get it."""


def refused_by(variable: str, file: str, document: dict[str, Any], *, part: tuple[str, ...] = ()) -> list[str]:
    """Return what the newest version in the definition ``*file``, or a ``part`` of it, has against ``document``.

    Skips the test when the definition's folder is not at hand.
    """
    name, origin = SOURCES[variable]
    beside = sorted(Path(__file__).resolve().parents[2].glob(f"*/crds/{name}"))
    folder = Path(os.environ[variable]) if variable in os.environ else next(iter(beside), None)
    found = sorted(folder.rglob(f"*{file}")) if folder else []
    if not found:
        pytest.skip(f"no published {file}: set {variable} to {origin}")
    return [error.message for error in _validator(found[0], part).iter_errors(document)]


@functools.cache
def _validator(definition: Path, part: tuple[str, ...]) -> Draft7Validator:
    # These definitions have tens of thousands of lines: the loader and the validator in Python take minutes.
    versions = yaml.load(definition.read_text(), Loader=yaml.CSafeLoader)["spec"]["versions"]
    schema = closed(versions[-1]["schema"]["openAPIV3Schema"])
    for field in part:
        schema = schema["properties"][field]
    return Draft7Validator(schema)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with unknown fields forbidden, which Kubernetes would drop without a word."""
    schema = {key: closed(value) if isinstance(value, dict) else value for key, value in schema.items()}
    described = schema.get("properties")
    if schema.get("type") == "object" and described and schema.get("x-kubernetes-preserve-unknown-fields") is None:
        schema.setdefault("additionalProperties", False)
    if described and "apiVersion" in described and "metadata" in described:
        described["metadata"] = {"type": "object"}
    return schema
