"""The custom resource definitions that projects publish: schemas that forbid what they do not know, and rules in CEL."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml
from jsonschema_rs import Draft7Validator

SOURCES = {
    "TRAINER_CRDS": ("trainer", "manifests/base/crds of a checkout of kubeflow/trainer"),
    "KSERVE_CRDS": ("kserve", "config/crd/full of a checkout of kserve/kserve"),
    "KNATIVE_CRDS": ("knative-serving", "config/core/300-resources of a checkout of knative/serving"),
    "OPERATOR_CRDS": (
        "prometheus-operator",
        "example/prometheus-operator-crd of a checkout of prometheus-operator/prometheus-operator",
    ),
}
"""Variable that names the folder: its name in a folder ``crds`` beside the checkout, and where to get it."""

RULES = "x-kubernetes-validations"


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
    schema, validator = _published(found[0], part)
    refused = [error.message for error in validator.iter_errors(document)]
    return refused or list(broken_rules(schema, with_defaults(schema, document)))


def broken_rules(schema: dict[str, Any], value: Any, where: str = "") -> Iterator[str]:
    """Yield which rules of a schema and of what it holds ``value`` breaks. What compares with a former state is left out."""
    for rule in schema.get(RULES, []):
        if "oldSelf" not in rule["rule"] and not _compiled(rule["rule"]).execute({"self": value}):
            yield f"{where or 'it'}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        others = schema.get("additionalProperties")
        for key, inner in value.items():
            described = schema.get("properties", {}).get(key) or (others if isinstance(others, dict) else {})
            yield from broken_rules(described, inner, f"{where}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from broken_rules(schema.get("items", {}), inner, f"{where}[{number}]")


def with_defaults(schema: dict[str, Any], value: Any) -> Any:
    """Return ``value`` with what the API server fills in before it looks at the rules."""
    if isinstance(value, list):
        return [with_defaults(schema.get("items", {}), inner) for inner in value]
    if not isinstance(value, dict):
        return value
    described = schema.get("properties", {})
    filled = {key: copy.deepcopy(inner["default"]) for key, inner in described.items() if "default" in inner} | value
    return {key: with_defaults(described.get(key, {}), inner) for key, inner in filled.items()}


@functools.cache
def _compiled(rule: str) -> Any:
    return cel.compile(rule)


@functools.cache
def _published(definition: Path, part: tuple[str, ...]) -> tuple[dict[str, Any], Draft7Validator]:
    # These definitions have tens of thousands of lines: the loader and the validator in Python take minutes.
    versions = yaml.load(definition.read_text(), Loader=yaml.CSafeLoader)["spec"]["versions"]
    schema = closed(versions[-1]["schema"]["openAPIV3Schema"])
    for field in part:
        schema = schema["properties"][field]
    return schema, Draft7Validator(schema)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with unknown fields forbidden, which Kubernetes would drop without a word."""
    schema = {key: closed(value) if isinstance(value, dict) else value for key, value in schema.items()}
    if str(schema.get("pattern")).startswith("^(?i)"):
        del schema["pattern"]  # Go's way of writing it, which is none of JSON Schema's
    if isinstance(schema.get("pattern"), str):
        # "In any case" is a word of Go's; without it the few patterns that have it are stricter.
        schema["pattern"] = schema["pattern"].replace("(?i)", "")
    described = schema.get("properties")
    if schema.get("type") == "object" and described and schema.get("x-kubernetes-preserve-unknown-fields") is None:
        schema.setdefault("additionalProperties", False)
    if described and "apiVersion" in described and "metadata" in described:
        described["metadata"] = {"type": "object"}
    return schema
