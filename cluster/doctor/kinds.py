"""Whether the server knows every kind that is applied, in the version and with the fields that we write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cluster.apply.refusals import BROUGHT_BY
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from cluster.part import Object

AREA = "kinds"

MADE_LATER = {
    "ClusterTrainingRuntime": [("trainer.kubeflow.org/v1alpha1", "TrainJob"), ("jobset.x-k8s.io/v1alpha2", "JobSet")],
}
"""What is not applied, but made from what is: the pipeline submits TrainJobs, of which the Trainer makes JobSets."""


def needed_kinds(examination: Examination) -> list[tuple[str, str]]:
    """Return (apiVersion, kind) of all that is applied or made from it, each once."""
    needed = [(built["apiVersion"], built["kind"]) for built in examination.objects]
    for built in examination.objects:
        needed += MADE_LATER.get(built["kind"], [])
    return list(dict.fromkeys(needed))


def check_kinds(examination: Examination) -> Iterator[Finding]:
    """Yield a line for each version of an API that is needed, and one for each kind that is not served."""
    reading = examination.reading
    served: dict[str, list[str]] = {}
    for api_version, kind in needed_kinds(examination):
        if reading.kind(api_version, kind):
            served.setdefault(api_version, []).append(kind)
        else:
            yield _missing(examination, api_version, kind)
    for api_version, kinds in served.items():
        yield ok(AREA, api_version, ", ".join(kinds))


def _missing(examination: Examination, api_version: str, kind: str) -> Finding:
    group, _, version = api_version.rpartition("/")
    if group not in BROUGHT_BY:
        return broken(AREA, kind, f"this Kubernetes has no {kind} ({api_version})", "update the cluster")
    parts = [name for name, objects in examination.parts.items() if any(built["kind"] == kind for built in objects)]
    without = f"; or leave out {', '.join(parts)}: --only takes the other parts" if parts else ""
    others = [one["version"] for one in (examination.reading.get(f"/apis/{group}") or {}).get("versions") or []]
    if others and version not in others:
        said = f"we write {version} of {group}, the cluster serves {', '.join(others)}"
        return broken(AREA, kind, said, f"install a release of {BROUGHT_BY[group]} that has {version}{without}")
    return broken(AREA, kind, f"the cluster has no {kind} ({api_version})", f"install {BROUGHT_BY[group]}{without}")


def check_fields(examination: Examination) -> Iterator[Finding]:
    """Yield the fields that we write and the cluster's CRDs do not have, which it would refuse or drop."""
    for api_version, kind in dict.fromkeys((built["apiVersion"], built["kind"]) for built in examination.objects):
        schema = _schema(examination, api_version, kind)
        if schema is None:
            continue
        of_kind = [built for built in examination.of_kind(kind) if built["apiVersion"] == api_version]
        unknown = sorted({field for built in of_kind for field in undeclared(schema, built)})
        if unknown:
            project = BROUGHT_BY.get(api_version.partition("/")[0], "what brings it")
            said = f"the cluster's CRD has no {', '.join(unknown[:4])}{' and more' if len(unknown) > 4 else ''}"
            yield broken(AREA, f"fields of {kind}", said, f"update {project} with its CRDs")
        else:
            yield ok(AREA, f"fields of {kind}", "the cluster's CRD has all that we write")
        if kind == "InferenceService" and "canary" not in schema["properties"]["spec"].get("properties", {}):
            yield warning(
                AREA, "canaries", "this KServe has no spec.canary: `cia models canary` cannot split requests", "update KServe"
            )


def _schema(examination: Examination, api_version: str, name: str) -> dict[str, Any] | None:
    """Return the OpenAPI schema that a CRD gives a kind, None for a kind that no CRD defines."""
    kind = examination.reading.kind(api_version, name)
    if kind is None or "." not in kind.group or (kind.group.endswith(".k8s.io") and kind.group not in BROUGHT_BY):
        return None
    crd = examination.reading.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{kind.group}")
    for version in (crd or {}).get("spec", {}).get("versions", []):
        if version["name"] == kind.version:
            return dict(version.get("schema", {}).get("openAPIV3Schema") or {}) or None
    return None


def undeclared(schema: dict[str, Any], value: Any, at: str = "") -> Iterator[str]:
    """Yield the paths in ``value`` that ``schema`` declares no field for; lists are written ``[]``."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return
    if isinstance(value, list):
        for item in value:
            yield from undeclared(schema.get("items") or {}, item, f"{at}[]")
    elif isinstance(value, dict) and (at not in ("metadata", "apiVersion", "kind")):
        yield from _undeclared_keys(schema, value, at)


def _undeclared_keys(schema: dict[str, Any], value: Object, at: str) -> Iterator[str]:
    properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for key, inner in value.items():
        path = f"{at}.{key}".lstrip(".")
        if key in properties:
            yield from undeclared(properties[key], inner, path)
        elif isinstance(others, dict):
            yield from undeclared(others, inner, path)
        elif not others and schema.get("type") == "object":
            yield path
