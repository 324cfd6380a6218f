"""The index kept up to date: `cia index` on `corpus.sources`, on a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cia.corpus.private_git import PASSWORD, USERNAME, credential_environment
from cia.settings import Settings
from cluster.access import INDEX
from cluster.configuration import params_environment, params_mount, params_volume
from cluster.part import Object
from cluster.pod import claimed, container, empty, from_secret, literal, mount, pod_template
from cluster.workload import cron_job
from inference_services.cluster_objects import as_kubernetes_reads_it
from runtimes.training_runtime import HOME

if TYPE_CHECKING:
    from kubernetes.client import V1Container, V1EnvVar

OUTSIDE = {"code-assistant/reaches": "outside"}
"""It fetches, so that ``cluster.outside`` is for it too."""


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the CronJob; nothing without a schedule or sources."""
    schedule = settings.cluster.index.schedule
    if schedule is None or not settings.corpus.sources:
        return []
    template = pod_template(
        INDEX,
        [_container(settings)],
        user=settings.inference_services.user,
        labels=OUTSIDE,
        volumes=[params_volume(settings), claimed("shared", settings.cluster.home_claim), empty("tmp", "10Gi")],
    )
    return [as_kubernetes_reads_it(cron_job(settings, INDEX, schedule, template, seconds=settings.cluster.index.timeout_seconds))]


def _container(settings: Settings) -> V1Container:
    index = settings.index
    return container(
        settings,
        INDEX,
        settings.pipeline.image,
        compute=settings.cluster.index.compute,
        command=["cia", "index"],
        args=settings.corpus.sources,
        env=[
            *params_environment(HOME),
            literal("HOME", "/tmp"),
            from_secret(settings, index.qdrant_api_key_variable, "qdrant-api-key"),
            from_secret(settings, index.embedding_api_key_variable, settings.inference_services.api_key),
            *_git_access(settings),
        ],
        mounts=[params_mount(), mount("shared", HOME), mount("tmp", "/tmp")],
    )


def _git_access(settings: Settings) -> list[V1EnvVar]:
    server = settings.cluster.git_server
    if server is None:
        return []
    return [
        *(literal(name, value) for name, value in credential_environment(server).items()),
        from_secret(settings, USERNAME, "git-username", optional=True),
        from_secret(settings, PASSWORD, "git-password", optional=True),
    ]
