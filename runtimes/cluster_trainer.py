"""Fine-tuning on a cluster: a Trainer v2 TrainJob on the ClusterTrainingRuntime of ``runtimes.training_runtime``.

The image carries the project, so the job is a command line and no code travels. Its paths lie on the runtime's shared
volume. Its calls have been answered by a stand-in for the Kubernetes API, not yet by a cluster.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from cia.errors import OperationError, UnavailableError
from cia.progress import Progress, silent
from cia.settings import Settings
from runtimes.job_output import JobOutput
from runtimes.train_job import FineTuneRequest, FineTuneResult


class ClusterTrainer:
    """Submits TrainJobs to the namespace of the pipelines, with ``KUBECONFIG`` or, in a pod, its service account."""

    def __init__(self, settings: Settings, polling_seconds: int = 5) -> None:
        self._training = settings.training
        self._image = settings.cluster.image(settings.training.image)
        self._namespace = settings.cluster.namespace
        self._polling_seconds = polling_seconds

    def run(self, request: FineTuneRequest, progress: Progress = silent) -> FineTuneResult:
        """Return the adapter and its figures.

        Raises OperationError with the cause when the job fails (it stays in the cluster, to be looked at), and
        UnavailableError when the cluster does not take it.
        """
        from kubeflow.trainer import CustomTrainerContainer, KubernetesBackendConfig, TrainerClient
        from kubeflow.trainer.options import ActiveDeadlineSeconds, TrainerArgs, TrainerCommand

        try:
            client = TrainerClient(KubernetesBackendConfig(namespace=self._namespace, config_file=os.environ.get("KUBECONFIG")))
            job = client.train(
                runtime=self._training.runtime,
                trainer=CustomTrainerContainer(image=self._image),
                options=[
                    TrainerCommand(["python", "-m"]),
                    TrainerArgs(request.command()),
                    ActiveDeadlineSeconds(self._training.timeout_seconds),
                ],
            )
        except Exception as error:  # the SDK raises RuntimeError, TimeoutError and what the kubernetes client raises
            raise UnavailableError(
                f"the cluster does not take a TrainJob on the runtime {self._training.runtime} in {self._namespace} "
                f"({error}); see `cia cluster doctor`"
            ) from error
        self._wait(client, job, JobOutput(progress))
        return FineTuneResult.read(request.out)

    def _wait(self, client: Any, job: str, output: JobOutput) -> None:
        read = 0

        def show(_: Any) -> None:
            nonlocal read
            lines: list[str] = []
            with contextlib.suppress(RuntimeError):  # a pod that starts or goes away has no log to read
                lines = list(client.get_job_logs(job))
            for line in lines[read:]:
                output.take(line)
            read = max(read, len(lines))

        try:
            ended = client.wait_for_job_status(
                job,
                status={"Complete", "Failed"},
                timeout=self._training.timeout_seconds,
                polling_interval=self._polling_seconds,
                callbacks=[show],
            )
        except TimeoutError:
            seconds = self._training.timeout_seconds
            raise OperationError(
                f"the TrainJob {job} ran longer than {seconds} s; raise training.timeout_seconds or lower training.steps"
            ) from None
        if ended.status != "Complete":
            raise output.failure(f"the TrainJob {job}")
