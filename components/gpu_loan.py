"""The GPU that the served model lends to a training when there is no other, and gets back afterwards."""

from __future__ import annotations

from cia.settings import Settings


def lend_gpu(settings: Settings, job: str) -> None:
    """Pause the main model for the TrainJob ``job``; answers are extractive meanwhile. Raises UnavailableError."""
    from inference_services.pausing import pause_for

    pause_for(settings, job)


def end_loan(settings: Settings) -> None:
    """Start the main model again if it is paused for a TrainJob that does not run any more.

    ``fine_tune_llm`` does so itself; this is for one that was killed. Raises UnavailableError.
    """
    if settings.training.backend != "kubeflow":
        return
    from inference_services.pausing import paused_for, resume_after
    from runtimes.cluster_trainer import ClusterTrainer

    job = paused_for(settings)
    if job is not None and not ClusterTrainer(settings).is_active(job):
        resume_after(settings, job)
