"""Where a step runs and what it is given there: the two answers, chosen once when a pipeline is defined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kfp import kubernetes
from kfp.dsl.pipeline_task import PipelineTask

from cia.cluster_settings import PARAMS_FOLDER
from cia.corpus.private_git import PASSWORD, USERNAME, credential_environment
from cia.settings import Settings, StepSettings
from runtimes.train_jobs import RUN_VARIABLE
from runtimes.training_runtime import GPU, HOME, model_cache

REACHES_OUTSIDE = ("fetch-corpus",)
"""Steps that clone repositories and fetch packages. NetworkPolicies let no other step out of the cluster."""


@dataclass(frozen=True, slots=True)
class Placement:
    """``place`` puts a task where it runs and returns it; so many repositories are indexed at once."""

    place: Callable[[PipelineTask], PipelineTask]
    repositories_at_once: int


ON_THIS_MACHINE = Placement(lambda task: task, repositories_at_once=1)
"""A task runs in this environment, with this CIA_HOME; indexing one repository takes every core already."""


def place_on_kubeflow(settings: Settings) -> Placement:
    """Return a placement that makes each step a pod with what ``pipeline.steps`` grant it, and nothing else."""

    def place(task: PipelineTask) -> PipelineTask:
        name = task.component_spec.name
        step = settings.pipeline.steps.get(name.replace("-", "_"), settings.pipeline.step)
        task.set_container_image(settings.cluster.image(settings.pipeline.image))
        _limit(task, settings, step)
        _furnish(task, settings)
        _label(task, name)
        if name in REACHES_OUTSIDE:
            _let_out(task, settings)
        if not settings.pipeline.caching:  # to say so at submission reaches the outermost tasks alone
            task.set_caching_options(enable_caching=False)
        user = settings.inference_services.user
        kubernetes.set_security_context(task, run_as_user=user, run_as_group=user, run_as_non_root=True)
        return task.set_retry(num_retries=settings.pipeline.retries, backoff_duration="30s", backoff_factor=2.0)

    return Placement(place, settings.pipeline.repositories_at_once)


def _limit(task: PipelineTask, settings: Settings, step: StepSettings) -> None:
    task.set_cpu_request(step.compute.cpu).set_cpu_limit(step.compute.cpu_limit)
    task.set_memory_request(step.compute.memory).set_memory_limit(step.compute.memory)
    kubernetes.set_timeout(task, step.timeout_seconds)
    if step.gpu_slices:
        task.set_accelerator_type(GPU).set_accelerator_limit(step.gpu_slices)
        for label, value in settings.training.node_selector.items():
            kubernetes.add_node_selector(task, label, value)
        kubernetes.add_toleration(task, key=GPU, operator="Exists", effect="NoSchedule")


def _furnish(task: PipelineTask, settings: Settings) -> None:
    """Give the task the settings, the shared volume and its secrets."""
    environment = {
        "CIA_PROFILE": "cluster",
        "CIA_PARAMS": f"{PARAMS_FOLDER}/params.yaml",
        "CIA_HOME": HOME,
        # No step fetches a model: a job has put them on the volume.
        "HF_HOME": model_cache(settings),
        "HF_HUB_OFFLINE": "1",
    }
    for variable, value in environment.items():
        task.set_env_variable(variable, value)
    kubernetes.use_field_path_as_env(task, RUN_VARIABLE, "metadata.labels['pipeline/runid']")
    kubernetes.use_config_map_as_volume(task, settings.cluster.params, PARAMS_FOLDER)
    kubernetes.mount_pvc(task, pvc_name=settings.cluster.home_claim, mount_path=HOME)
    for variable, key in settings.pipeline.secret_variables.items():
        kubernetes.use_secret_as_env(task, settings.cluster.secret, {key: variable}, optional=True)


def _label(task: PipelineTask, name: str) -> None:
    kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "code-assistant")
    kubernetes.add_pod_label(task, "app.kubernetes.io/name", name)


def _let_out(task: PipelineTask, settings: Settings) -> None:
    """Give the task the label by which NetworkPolicies let it out, and the password of a private server of repositories."""
    kubernetes.add_pod_label(task, "code-assistant/reaches", "outside")
    if settings.cluster.git_server is None:
        return
    for variable, value in credential_environment(settings.cluster.git_server).items():
        task.set_env_variable(variable, value)
    for variable, key in ((USERNAME, "git-username"), (PASSWORD, "git-password")):
        kubernetes.use_secret_as_env(task, settings.cluster.secret, {key: variable}, optional=True)
