"""The job that puts the base model of trainings on the shared volume: a TrainJob reaches no model hub."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cia.settings import Settings
from runtimes.training_runtime import HOME, model_cache

if TYPE_CHECKING:
    from kubernetes.client import V1Container, V1EnvVar, V1Job, V1PodSpec

NAME = "base-model"


def base_model_job(settings: Settings) -> V1Job | None:
    """Return the job that fetches ``training.base_model``; None for one that comes with the project or lies on the volume.

    A job cannot be changed, so its name says what it fetches: another model is another job.
    """
    from kubernetes import client

    model, image = settings.training.base_model, settings.cluster.image(settings.pipeline.image)
    if "/" not in model or model.startswith(("/", ".")):
        return None
    digest = hashlib.sha256(f"{image}\n{model}\n{model_cache(settings)}".encode()).hexdigest()[:8]
    labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": "code-assistant"}
    return client.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=client.V1ObjectMeta(
            name=f"code-assistant-{NAME}-{digest}", namespace=settings.cluster.namespace, labels=dict(labels)
        ),
        spec=client.V1JobSpec(
            backoff_limit=6,
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=labels | {"code-assistant/reaches": "outside"}), spec=_pod(settings, image)
            ),
        ),
    )


def _pod(settings: Settings, image: str) -> V1PodSpec:
    from kubernetes import client

    user = settings.inference_services.user
    claim = client.V1PersistentVolumeClaimVolumeSource(claim_name=settings.cluster.home_claim)
    return client.V1PodSpec(
        restart_policy="OnFailure",
        service_account_name=NAME,
        automount_service_account_token=False,
        enable_service_links=False,
        containers=[_downloader(settings, image)],
        volumes=[
            client.V1Volume(name="home", persistent_volume_claim=claim),
            client.V1Volume(name="tmp", empty_dir=client.V1EmptyDirVolumeSource(size_limit="1Gi")),
        ],
        security_context=client.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=user,
            run_as_group=user,
            fs_group=user,
            fs_group_change_policy="OnRootMismatch",
            seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
        ),
    )


def _downloader(settings: Settings, image: str) -> V1Container:
    from kubernetes import client

    memory = {"memory": "4Gi"}
    mounts = {"home": HOME, "tmp": "/tmp"}
    return client.V1Container(
        name="fetch-base-model",
        image=image,
        command=["hf", "download", settings.training.base_model],
        env=_environment(settings),
        resources=client.V1ResourceRequirements(requests={"cpu": "500m", **memory}, limits={"cpu": "2", **memory}),
        volume_mounts=[client.V1VolumeMount(name=name, mount_path=path) for name, path in mounts.items()],
        security_context=client.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=client.V1Capabilities(drop=["ALL"]),
        ),
    )


def _environment(settings: Settings) -> list[V1EnvVar]:
    from kubernetes import client

    key = settings.inference_services.weights.token_key
    token = client.V1SecretKeySelector(name=settings.cluster.secret, key=key, optional=True)
    return [
        client.V1EnvVar(name="HOME", value="/tmp"),
        client.V1EnvVar(name="HF_HUB_DISABLE_TELEMETRY", value="1"),
        client.V1EnvVar(name="HF_HOME", value=model_cache(settings)),
        client.V1EnvVar(name="HF_TOKEN", value_from=client.V1EnvVarSource(secret_key_ref=token)),
    ]
