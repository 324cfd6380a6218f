"""How many replicas of an InferenceService are ready, as the cluster says."""

from __future__ import annotations

from collections.abc import Callable

from cia.errors import UnavailableError
from inference_services.api_client import api_client

OF_SERVICE = "serving.kserve.io/inferenceservice"
"""The label that KServe puts on the pods of a service, in every deployment mode."""

QUERY_SECONDS = 4


def replica_counter(namespace: str, inference_service: str, context: str | None = None) -> Callable[[], int | None]:
    """Return what counts the ready pods of a service; it gives None while the cluster does not answer.

    ``context`` is one of the kubeconfig's; None: its current one, or the cluster that this runs in. Raises UnavailableError
    when there is neither.
    """
    from kubernetes import client

    try:
        core = client.CoreV1Api(api_client(context))
    except UnavailableError as error:
        raise UnavailableError(f"no cluster to count replicas in: {error}; leave out --inference-service") from None

    def count() -> int | None:
        try:
            pods = core.list_namespaced_pod(
                namespace, label_selector=f"{OF_SERVICE}={inference_service}", _request_timeout=QUERY_SECONDS
            )
        except Exception:  # the client's own errors and those of urllib3 below it: a cluster that is away for a moment
            return None
        return sum(_is_ready(pod) for pod in pods.items)

    return count


def _is_ready(pod: object) -> bool:
    if pod.metadata.deletion_timestamp is not None:  # type: ignore[attr-defined]
        return False
    conditions = pod.status.conditions or ()  # type: ignore[attr-defined]
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)
