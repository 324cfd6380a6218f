"""Where a step runs and what it is given there: the two answers, chosen once when a pipeline is defined."""

from __future__ import annotations

from collections.abc import Callable

from kfp import kubernetes
from kfp.dsl.pipeline_task import PipelineTask

from cia.settings import Settings
from runtimes.training_runtime import HOME

Placement = Callable[[PipelineTask], PipelineTask]


def place_locally(task: PipelineTask) -> PipelineTask:
    """Leave the task as it is: it runs in this environment, with this CIA_HOME."""
    return task


def place_on_kubeflow(settings: Settings) -> Placement:
    """Return a placement that gives each step the cluster profile, the shared volume, its secrets and two retries."""

    def place(task: PipelineTask) -> PipelineTask:
        task.set_env_variable("CIA_PROFILE", "cluster")
        task.set_env_variable("CIA_HOME", HOME)
        kubernetes.mount_pvc(task, pvc_name=settings.cluster.home_claim, mount_path=HOME)
        for variable, key in settings.pipeline.secret_variables.items():
            kubernetes.use_secret_as_env(task, settings.cluster.secret, {key: variable}, optional=True)
        return task.set_retry(num_retries=2, backoff_duration="30s", backoff_factor=2.0)

    return place
