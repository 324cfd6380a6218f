"""InferenceServices that are stopped: while a training has their GPU, or longer than anybody meant."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.apply.readiness import conditions
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from inference_services.pausing import PAUSED_BY, STOP

AREA = "GPU budget"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices/{}"
TRAIN_JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/{}/trainjobs/{}"


def is_stopped(examination: Examination, service: str) -> bool:
    """Return whether KServe was told to run no pods of the InferenceService ``service``."""
    return _annotations(examination, service).get(STOP) == "true"


def check_pauses(examination: Examination) -> Iterator[Finding]:
    """Yield who stopped a service; an error when the training that it was stopped for has ended."""
    for built in examination.of_kind("InferenceService"):
        name = built["metadata"]["name"]
        if not is_stopped(examination, name):
            continue
        annotate = f"kubectl -n {examination.namespace} annotate inferenceservice {name} {STOP}-"
        train_job = _annotations(examination, name).get(PAUSED_BY)
        if train_job is None:
            yield warning(AREA, name, f"is stopped by the annotation {STOP}, which somebody has set", annotate)
        elif _has_ended(examination, train_job):
            said = f"is still stopped for the TrainJob {train_job}, which has ended: all answers are quotes"
            yield broken(AREA, name, said, f"{annotate} {PAUSED_BY}-")
        else:
            yield ok(AREA, name, f"makes room for the TrainJob {train_job}; answers are quotes meanwhile")


def _annotations(examination: Examination, service: str) -> dict[str, str]:
    live = examination.reading.get(SERVICES.format(examination.namespace, service)) or {}
    return dict((live.get("metadata") or {}).get("annotations") or {})


def _has_ended(examination: Examination, train_job: str) -> bool:
    live = examination.reading.get(TRAIN_JOBS.format(examination.namespace, train_job))
    if live is None:
        return True
    return any(conditions(live).get(end, {}).get("status") == "True" for end in ("Complete", "Failed"))
