"""The TrainJobs of one namespace: submitted by the Trainer SDK, read and deleted as the Kubernetes API has them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cia.errors import OperationError, UnavailableError
from cia.settings import Settings

KIND = {"group": "trainer.kubeflow.org", "version": "v1alpha1", "plural": "trainjobs"}
OF_JOB = "jobset.sigs.k8s.io/jobset-name"
"""Label of a TrainJob's pods: its JobSet is named after it."""
RUN_VARIABLE = "PIPELINE_RUN_ID"
"""Environment variable with the id of the pipeline's run; unset outside of one."""
OF_RUN = "code-assistant/run"
"""Label of a TrainJob: the run that submitted it."""
GONE_SECONDS = 180.0
"""For a deleted job's pods to end and the job with them."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended. ``why`` is what its controller says, "" when it says nothing."""

    completed: bool
    why: str


class TrainJobs:
    """Calls the API with ``KUBECONFIG`` or, in a pod, its service account. Every method raises UnavailableError."""

    def __init__(self, settings: Settings) -> None:
        from kubeflow.trainer import KubernetesBackendConfig, TrainerClient

        # It warns at length of a ConfigMap that steps have no right to read and no need of.
        logging.getLogger("kubeflow.trainer").setLevel(logging.ERROR)
        self.namespace = settings.cluster.namespace
        self._runtime = settings.training.runtime
        self._timeout = settings.training.timeout_seconds
        self._image = settings.cluster.image(settings.training.image)
        configuration = KubernetesBackendConfig(namespace=self.namespace, config_file=os.environ.get("KUBECONFIG"))
        self._client: Any = self._asked(lambda: TrainerClient(configuration))
        self.pods_api: Any = self._client.backend.core_api
        self._jobs_api: Any = self._client.backend.custom_api

    def submit(self, name: str, command: Sequence[str]) -> None:
        """Create the job ``name`` that runs ``python -m`` with ``command``, unless there is one."""
        from kubeflow.trainer import CustomTrainerContainer
        from kubeflow.trainer.options import ActiveDeadlineSeconds, Labels, Name, TrainerArgs, TrainerCommand

        options = [
            Name(name),
            Labels({"app.kubernetes.io/part-of": "code-assistant", OF_RUN: os.environ.get(RUN_VARIABLE, "")}),
            TrainerCommand(["python", "-m"]),
            TrainerArgs(list(command)),
            ActiveDeadlineSeconds(self._timeout),
        ]
        try:
            self._client.train(runtime=self._runtime, trainer=CustomTrainerContainer(image=self._image), options=options)
        except Exception as error:  # the SDK raises RuntimeError, TimeoutError and what the kubernetes client raises
            if _status(error) == 409:
                return  # another try of this step was faster
            raise UnavailableError(
                f"the cluster does not take a TrainJob on the runtime {self._runtime} in {self.namespace} "
                f"({_reason(error)}); see `cia cluster doctor`"
            ) from error

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the job as the API has it, None when there is none."""
        try:
            found: dict[str, Any] = self._jobs_api.get_namespaced_custom_object(**KIND, namespace=self.namespace, name=name)
        except Exception as error:  # the client's own and urllib3's
            if _status(error) == 404:
                return None
            raise self._unavailable(error) from error
        return found

    def delete(self, name: str) -> None:
        """Delete the job; it goes after its pods, in a moment. Nothing happens when there is no such job."""
        from kubernetes.client import V1DeleteOptions

        options = V1DeleteOptions(propagation_policy="Foreground")
        try:
            self._jobs_api.delete_namespaced_custom_object(**KIND, namespace=self.namespace, name=name, body=options)
        except Exception as error:
            if _status(error) == 404:
                return
            raise self._unavailable(error) from error

    def replace(self, name: str, command: Sequence[str]) -> None:
        """Delete the job that ended, and submit it anew."""
        self.delete(name)
        deadline = time.monotonic() + GONE_SECONDS
        while self.find(name) is not None:
            if time.monotonic() > deadline:
                raise OperationError(f"the TrainJob {name} in {self.namespace} is deleted and does not go; see what holds it")
            time.sleep(0.5)
        self.submit(name, command)

    def pods(self, name: str) -> list[Any]:
        """Return the job's pods, the oldest first."""
        listed = self._asked(lambda: self.pods_api.list_namespaced_pod(self.namespace, label_selector=f"{OF_JOB}={name}"))
        return sorted(listed.items, key=lambda pod: (pod.metadata.creation_timestamp, pod.metadata.name))

    def warnings(self, name: str) -> list[str]:
        """Return what the cluster warns of about the job and all that is made for it, the oldest first."""
        listed = self._asked(lambda: self.pods_api.list_namespaced_event(self.namespace, field_selector="type=Warning"))
        ours = [event for event in listed.items if event.type == "Warning" and _is_about(event.involved_object.name, name)]
        ours.sort(key=lambda event: str(event.last_timestamp or event.event_time or ""))
        return list(dict.fromkeys(f"{event.reason}: {' '.join((event.message or '').split())}" for event in ours))

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:  # no kubeconfig, no server: the client raises its own and urllib3's
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"the Kubernetes API cannot be asked about TrainJobs in {self.namespace} ({_reason(error)}); see `cia cluster doctor`"
        )


def is_going(job: dict[str, Any]) -> bool:
    """Return whether ``job`` is deleted and its pods are still ending."""
    return "deletionTimestamp" in job["metadata"]


def is_of_this_run(job: dict[str, Any]) -> bool:
    """Return whether an earlier try of the same step in the same run submitted ``job``."""
    run = os.environ.get(RUN_VARIABLE)
    return bool(run) and job["metadata"].get("labels", {}).get(OF_RUN) == run


def end_of(job: dict[str, Any]) -> JobEnd | None:
    """Return how ``job`` ended, None while it has not."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            said = [condition.get("reason", ""), " ".join(condition.get("message", "").split())]
            return JobEnd(condition["type"] == "Complete", ": ".join(filter(None, said)))
    return None


def _is_about(object_name: str, job: str) -> bool:
    return object_name == job or object_name.startswith(f"{job}-")


def _status(error: BaseException | None) -> int | None:
    """The HTTP status behind an error of the SDK, which wraps the client's."""
    while error is not None:
        if isinstance(status := getattr(error, "status", None), int):
            return status
        error = error.__cause__
    return None


def _reason(error: BaseException) -> str:
    """What the API said, in one line: the innermost error knows, its wrappers only name what was tried."""
    told = error
    while told.__cause__ is not None:
        told = told.__cause__
    status, reason = getattr(told, "status", None), getattr(told, "reason", None)
    if status and reason:
        return f"{status} {reason}"
    return " ".join(f"{error} {told if told is not error else ''}".split())[:200]
