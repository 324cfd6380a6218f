"""How many pods stand behind a Service."""

from __future__ import annotations

from cluster.doctor.reading import Reading


def ready_endpoints(reading: Reading, namespace: str, service: str) -> int:
    """Return the number of ready addresses behind a Service."""
    slices = reading.items(
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        labelSelector=f"kubernetes.io/service-name={service}",
    )
    endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or []]
    # Without a condition it is meant to be ready.
    return sum((endpoint.get("conditions") or {}).get("ready") is not False for endpoint in endpoints)
