"""The one way to an InferenceService: typed, labelled, in a deployment mode that is said, and free of what KServe ignores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from cia.settings import Settings
from inference_services.ignored_by_kserve import DEPLOYMENT_MODE, refuse_what_is_ignored
from inference_services.object_metadata import metadata

if TYPE_CHECKING:
    from kserve.models import V1beta1CanarySpec, V1beta1InferenceService, V1beta1PredictorSpec

Mode = Literal["Standard", "Knative"]


def inference_service(
    settings: Settings,
    name: str,
    predictor: V1beta1PredictorSpec,
    *,
    mode: Mode,
    annotations: dict[str, str] | None = None,
    canaries: Sequence[V1beta1CanarySpec] = (),
) -> V1beta1InferenceService:
    """Return the InferenceService ``name``. ``canaries`` are other predictors beside it that take a share of the requests.

    Raises InputError that says what to write for anything that KServe would reject, or accept and not do.
    """
    from kserve import models

    service = models.V1beta1InferenceService(
        api_version="serving.kserve.io/v1beta1",
        kind="InferenceService",
        metadata=metadata(settings, name, annotations={DEPLOYMENT_MODE: mode, **(annotations or {})}),
        spec=models.V1beta1InferenceServiceSpec(predictor=predictor, canary=list(canaries) or None),
    )
    refuse_what_is_ignored(service)
    return service
