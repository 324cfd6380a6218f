"""Takes the main model off its GPU for as long as a training needs it, and puts it back.

KServe ends the pods of a service that carries the annotation ``serving.kserve.io/stop`` and starts them when it is taken away.
The assistant answers by quoting meanwhile. Who paused it stands beside it, so that nobody else's stop is undone.
"""

from __future__ import annotations

from typing import Any

from cia.errors import UnavailableError
from cia.settings import Settings
from inference_services.api_client import api_client

STOP = "serving.kserve.io/stop"
PAUSED_BY = "code-assistant/paused-by"
"""The name of the TrainJob that the service was paused for."""

SERVICE = "code-assistant"
KIND = {"group": "serving.kserve.io", "version": "v1beta1", "plural": "inferenceservices"}
TRIES = 5
"""Somebody else may write the service at the same time; each try begins with what it then says."""


def pause_for(settings: Settings, train_job: str) -> bool:
    """Have KServe stop the main model's pods for ``train_job``; True when it is now paused for it.

    False when there is no such service, or somebody else has stopped it: then nothing is done.
    Raises UnavailableError when the cluster does not allow it.
    """

    def stopped(annotations: dict[str, str]) -> dict[str, str | None] | None:
        if annotations.get(STOP) == "true":
            return None
        return {STOP: "true", PAUSED_BY: train_job}

    return _annotate(settings, stopped).get(PAUSED_BY) == train_job


def resume_after(settings: Settings, train_job: str) -> bool:
    """Have KServe start them again if they were paused for ``train_job``; True when it was so. Raises as ``pause_for``."""
    was_paused = False

    def started(annotations: dict[str, str]) -> dict[str, str | None] | None:
        nonlocal was_paused
        was_paused = annotations.get(PAUSED_BY) == train_job
        return {STOP: None, PAUSED_BY: None} if was_paused else None

    _annotate(settings, started)
    return was_paused


def paused_for(settings: Settings) -> str | None:
    """Return the TrainJob that the main model is paused for, None when it is not. Raises as ``pause_for``."""
    return _annotate(settings, lambda _: None).get(PAUSED_BY)


def _annotate(settings: Settings, change: Any) -> dict[str, str]:
    """Write what ``change`` makes of the annotations, None for nothing, and return them as they then are."""
    from kubernetes import client

    where = {**KIND, "namespace": settings.cluster.namespace, "name": SERVICE}
    try:
        api = client.CustomObjectsApi(api_client())
        for _ in range(TRIES):
            metadata = api.get_namespaced_custom_object(**where)["metadata"]
            annotations: dict[str, str] = metadata.get("annotations", {})
            wanted = change(annotations)
            if wanted is None:
                return annotations
            # The version makes the server refuse what was decided on an older state.
            patch = {"metadata": {"annotations": wanted, "resourceVersion": metadata["resourceVersion"]}}
            try:
                written = api.patch_namespaced_custom_object(**where, body=patch)
            except client.ApiException as error:
                if error.status != 409:
                    raise
            else:
                return dict(written["metadata"].get("annotations", {}))
    except client.ApiException as error:
        if error.status == 404:
            return {}
        raise UnavailableError(_refusal(settings, f"{error.status} {error.reason}")) from error
    except Exception as error:  # no kubeconfig, no server: ours, and urllib3's
        raise UnavailableError(_refusal(settings, " ".join(str(error).split())[:200])) from error
    raise UnavailableError(_refusal(settings, f"it was changed {TRIES} times meanwhile"))


def _refusal(settings: Settings, reason: str) -> str:
    return (
        f"the InferenceService {SERVICE} in {settings.cluster.namespace} cannot be paused or started again ({reason}); "
        "see `cia cluster doctor`"
    )
