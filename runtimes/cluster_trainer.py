"""Fine-tuning on a cluster: a Trainer v2 TrainJob on the ClusterTrainingRuntime of ``runtimes.training_runtime``.

The image carries the project, so the job is a command line and no code travels. Its paths lie on the runtime's shared
volume. A job is named after what it does: a step that is tried again finds the one that it submitted before.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from cia.errors import OperationError, UnavailableError
from cia.progress import Progress, silent
from cia.settings import Settings
from runtimes.ending import sigterm_as_exit
from runtimes.job_output import JobOutput
from runtimes.pod_logs import PodLogs
from runtimes.train_job import FineTuneRequest, FineTuneResult
from runtimes.train_job_pods import how_it_ended, waits_for, waits_for_gpu
from runtimes.train_jobs import JobEnd, TrainJobs, end_of, is_going, is_of_this_run
from runtimes.training_runtime import WORKER

AWAY_SECONDS = 120.0
"""For so long the API may be away while a job runs; after that the step gives up, and its next try finds the job again."""
LATE_SECONDS = 300.0
"""After the job's own deadline, for its controller to say so."""


class ClusterTrainer:
    """Runs jobs in the namespace of the pipelines.

    ``make_room`` is called once, with the job's name, when no node has the GPU slices that it asks for.
    """

    def __init__(
        self, settings: Settings, polling_seconds: float = 5.0, make_room: Callable[[str], None] = lambda _: None
    ) -> None:
        self._settings = settings
        self._polling_seconds = polling_seconds
        self._make_room = make_room

    def name_of(self, request: FineTuneRequest) -> str:
        """Return the name of the TrainJob for ``request``: the same for the same work in the same image."""
        work = "\0".join([*request.command(), self._settings.training.image, self._settings.training.runtime])
        return f"fine-tune-{hashlib.sha256(work.encode()).hexdigest()[:12]}"

    def is_active(self, job: str) -> bool:
        """Return whether there is such a job and it has not ended. Raises UnavailableError."""
        found = TrainJobs(self._settings).find(job)
        return found is not None and end_of(found) is None

    def run(self, request: FineTuneRequest, progress: Progress = silent) -> FineTuneResult:
        """Return the adapter and its figures; a job that already does this is waited for, not started twice.

        Raises OperationError with the cause when the job fails (it stays in the cluster, to be looked at, until the next
        run), and UnavailableError when the cluster does not take it. Ended by Ctrl-C or SIGTERM, it deletes the job.
        """
        jobs, name = TrainJobs(self._settings), self.name_of(request)
        with sigterm_as_exit():
            try:
                self._have_running(jobs, name, request)
                self._wait(jobs, name, JobOutput(progress), progress)
                result = FineTuneResult.read(request.out)
            except (KeyboardInterrupt, SystemExit):
                with contextlib.suppress(UnavailableError):
                    jobs.delete(name)
                raise
        jobs.delete(name)
        return result

    def _have_running(self, jobs: TrainJobs, name: str, request: FineTuneRequest) -> None:
        known = jobs.find(name)
        if known is None:
            jobs.submit(name, request.command())
            return
        end = end_of(known)
        if end is None:
            spent = False
        elif end.completed:
            spent = not (request.out / "training.json").exists()
        else:
            # The job has tries of its own: those of the step are for when the step's own pod is lost.
            spent = not is_of_this_run(known)
        if spent or is_going(known):
            jobs.replace(name, request.command())

    def _wait(self, jobs: TrainJobs, name: str, output: JobOutput, progress: Progress) -> None:
        """Return when the job is complete, having shown its log. Raises OperationError when it fails or does not start."""
        logs = PodLogs(jobs.pods_api, jobs.namespace, WORKER)
        start = _Start(self._settings.training.pending_seconds, jobs, name, self._make_room, progress)
        deadline = time.monotonic() + self._settings.training.timeout_seconds + start.seconds + LATE_SECONDS
        while True:
            job, pods = self._look(jobs, name)
            if job is None:
                raise OperationError(f"the TrainJob {name} was deleted while it ran; run the same again, it carries on")
            end = end_of(job)
            logs.follow(pods)
            for line in logs.lines() if end is None else logs.close():
                output.take(line)
            if end is not None and end.completed:
                return
            if end is not None:
                raise self._failure(jobs, name, end, output)
            start.watch(pods)
            if time.monotonic() > deadline:
                raise self._too_long(name)
            time.sleep(self._polling_seconds)

    def _look(self, jobs: TrainJobs, name: str) -> tuple[dict[str, Any] | None, list[Any]]:
        """The job and its pods; an API that is away for a moment is asked again."""
        deadline = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return jobs.find(name), jobs.pods(name)
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(self._polling_seconds)

    def _failure(self, jobs: TrainJobs, name: str, end: JobEnd, output: JobOutput) -> OperationError:
        if "DeadlineExceeded" in end.why:
            return self._too_long(name)
        facts = how_it_ended(jobs.pods(name), jobs.warnings(name))
        told = "; ".join(filter(None, (output.cause, facts, end.why)))
        return OperationError(
            f"the TrainJob {name} failed: {told or 'it printed nothing'}; "
            f"it stays until the next run: kubectl -n {jobs.namespace} describe trainjob {name}"
        )

    def _too_long(self, name: str) -> OperationError:
        seconds = self._settings.training.timeout_seconds
        return OperationError(
            f"the TrainJob {name} ran longer than {seconds} s; raise training.timeout_seconds or lower training.steps"
        )


class _Start:
    """Watches a job whose pod has not started: says why, asks for room once, and gives up after ``seconds``."""

    def __init__(self, seconds: float, jobs: TrainJobs, name: str, make_room: Callable[[str], None], progress: Progress) -> None:
        self.seconds = seconds
        self._jobs, self._name = jobs, name
        self._make_room, self._progress = make_room, progress
        self._told, self._asked = "", False
        self._since = time.monotonic()

    def watch(self, pods: Sequence[Any]) -> None:
        """Look at the job's pods. Raises OperationError, and deletes the job, when it waits for too long."""
        waiting = waits_for(pods, self._jobs.warnings(self._name) if not pods else ())
        if not waiting:
            self._since = time.monotonic()
        elif waiting != self._told:
            self._progress(waiting, 0, 0)
        self._told = waiting
        if waits_for_gpu(pods) and not self._asked:
            self._asked = True
            self._make_room(self._name)
        if time.monotonic() - self._since > self.seconds:
            self._jobs.delete(self._name)
            raise OperationError(f"the TrainJob {self._name} did not start within {self.seconds} s: {waiting}")
