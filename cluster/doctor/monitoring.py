"""Whether a Prometheus takes up our monitors and rules: it does so by labels, and ignores the others without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, ok, warning
from cluster.part import Object

AREA = "monitoring"
GROUP = "/apis/monitoring.coreos.com/v1"

SELECTED_BY = {
    "ServiceMonitor": ("serviceMonitorSelector", "serviceMonitorNamespaceSelector"),
    "PodMonitor": ("podMonitorSelector", "podMonitorNamespaceSelector"),
    "PrometheusRule": ("ruleSelector", "ruleNamespaceSelector"),
}
"""The fields of a Prometheus by which it chooses objects of a kind, and their namespaces."""


def check_monitoring(examination: Examination) -> Iterator[Finding]:
    """Yield for each of these kinds whether a Prometheus selects all that we apply of it."""
    ours = {kind: examination.of_kind(kind) for kind in SELECTED_BY}
    if not any(ours.values()):
        return
    prometheuses = examination.reading.items(f"{GROUP}/prometheuses")
    if not prometheuses:
        said = "there is no Prometheus object: nobody is known to read our monitors and rules"
        yield warning(AREA, "Prometheus", said, "install kube-prometheus-stack, or whatever else reads ServiceMonitors")
        return
    namespace = examination.reading.get(f"/api/v1/namespaces/{examination.namespace}") or {}
    of_namespace = (namespace.get("metadata") or {}).get("labels") or {}
    for kind, objects in ours.items():
        if objects:
            yield _of_kind(examination, kind, objects, prometheuses, of_namespace)


def _of_kind(
    examination: Examination, kind: str, objects: list[Object], prometheuses: list[Object], of_namespace: Mapping[str, str]
) -> Finding:
    selector, namespace_selector = SELECTED_BY[kind]
    for prometheus in prometheuses:
        spec, metadata = prometheus.get("spec") or {}, prometheus["metadata"]
        own = metadata["namespace"] == examination.namespace
        in_reach = own if namespace_selector not in spec else matches(spec[namespace_selector], of_namespace)
        if in_reach and all(matches(spec.get(selector), built["metadata"].get("labels") or {}) for built in objects):
            return ok(AREA, f"{kind}s", f"{metadata['name']} in {metadata['namespace']} takes up all {len(objects)}")
    names = ", ".join(f"{one['metadata']['name']} in {one['metadata']['namespace']}" for one in prometheuses)
    wanted = "; ".join(str((one.get("spec") or {}).get(selector)) for one in prometheuses)
    fix = f"set its {selector} and {namespace_selector} to {{}}, or to labels that ours carry (now {wanted})"
    return warning(AREA, f"{kind}s", f"{names} does not select them", fix)


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector selects ``labels``: no selector selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(str(expression["operator"]), False)
