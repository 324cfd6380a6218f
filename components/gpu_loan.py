"""The GPU that the served model lends to a training when there is no other, and gets back when its adapter is scored."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cia.errors import UnavailableError
from cia.settings import Settings


def lend_gpu(settings: Settings, job: str) -> None:
    """Pause the main model for the TrainJob ``job``; answers are extractive meanwhile. Raises UnavailableError."""
    from inference_services.pausing import pause_for

    pause_for(settings, job)


def end_loan(settings: Settings) -> None:
    """Start the main model again if it is paused for a TrainJob that does not run any more.

    Raises UnavailableError.
    """
    if settings.training.backend != "kubeflow":
        return
    from inference_services.pausing import paused_for, resume_after
    from runtimes.cluster_trainer import ClusterTrainer

    job = paused_for(settings)
    if job is not None and not ClusterTrainer(settings).is_active(job):
        resume_after(settings, job)


def try_to_end_loan(settings: Settings) -> None:
    """Do as ``end_loan``, and nothing when the cluster does not answer: `report_run` tries again, and says so when it cannot."""
    with contextlib.suppress(UnavailableError):
        end_loan(settings)


@contextlib.contextmanager
def last_use_of_the_gpu(settings: Settings) -> Iterator[None]:
    """End the loan when the block ends, however it ends."""
    try:
        yield
    finally:
        try_to_end_loan(settings)
