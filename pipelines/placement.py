"""Where a step runs and what it is given there: the two answers, chosen once when a pipeline is defined."""

from __future__ import annotations

from collections.abc import Callable

from kfp import kubernetes
from kfp.dsl.pipeline_task import PipelineTask

from cia.settings import Settings

Placement = Callable[[PipelineTask], PipelineTask]

HOME_IN_CLUSTER = "/var/lib/cia"
"""Where the shared volume with the corpus and the local caches is mounted in every step."""


def place_locally(task: PipelineTask) -> PipelineTask:
    """Leave the task as it is: it runs in this environment, with this CIA_HOME."""
    return task


def place_on_kubeflow(settings: Settings) -> Placement:
    """Return a placement that gives each step the cluster profile, the shared volume, its secrets and two retries."""

    def place(task: PipelineTask) -> PipelineTask:
        task.set_env_variable("CIA_PROFILE", "cluster")
        task.set_env_variable("CIA_HOME", HOME_IN_CLUSTER)
        kubernetes.mount_pvc(task, pvc_name=settings.pipeline.home_claim, mount_path=HOME_IN_CLUSTER)
        for variable, key in settings.pipeline.secret_variables.items():
            kubernetes.use_secret_as_env(task, settings.pipeline.secret, {key: variable}, optional=True)
        return task.set_retry(num_retries=2, backoff_duration="30s", backoff_factor=2.0)

    return place
