"""Where a cluster's pods find the weights of their models, and what puts them there: no pod downloads when it starts."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from cia.errors import SettingsError
from cia.settings import Settings
from inference_services.object_metadata import LABELS, metadata

if TYPE_CHECKING:
    from kserve.models import V1alpha1LocalModelCache
    from kubernetes.client import V1Container, V1Job, V1PersistentVolumeClaim

MODELS = "/mnt/models"
"""Where the weights are mounted; KServe mounts those of its cache there too."""

FETCHES = {
    "app.kubernetes.io/name": "model-weights",
    "app.kubernetes.io/part-of": LABELS["app.kubernetes.io/part-of"],
    "code-assistant/reaches": "outside",
}
"""Labels of the pods that fetch them, by which NetworkPolicies let them out."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def weights_path(settings: Settings, model: str) -> str:
    """Return the folder of ``model`` inside a pod. A revision has a folder of its own: weights never change under a server."""
    if settings.inference_services.weights.source == "cache":
        return MODELS
    return f"{MODELS}/{model}/{_revision(settings, model)}"


def weights_uri(settings: Settings, model: str) -> str:
    """Return the address by which KServe knows ``model`` and finds it in its cache."""
    return f"hf://{model}:{_revision(settings, model)}"


def models_of(settings: Settings, service: str) -> list[str]:
    """Return the hub names of the models of ``service``, the one that answers first.

    Raises SettingsError when one is missing, is no hub name, or finds no place in the pod.
    """
    services, serving = settings.inference_services, settings.serving
    settings_of: dict[str, dict[str, str | None]] = {
        "code-assistant": {"serving.model": serving.model},
        "embeddings": {"inference_services.embeddings.model": services.embeddings.model},
        "autoscale-probe": {"inference_services.autoscale_probe.model": services.autoscale_probe.model},
    }
    named = settings_of[service]
    if service == "code-assistant" and serving.speculation == "draft":
        named["serving.draft_model"] = serving.draft_model
        if services.weights.source == "cache":
            raise SettingsError(
                "KServe mounts one cached model in a pod, so that serving.speculation draft finds no second; "
                "set inference_services.weights.source to claim, or serving.speculation to ngram"
            )
    return [_hub_name(setting, model) for setting, model in named.items()]


def weights_objects(settings: Settings) -> list[Any]:
    """Return what has to be applied before the services: a volume and the job that fills it, or the models to cache."""
    models = sorted({model for service in settings.inference_services.deployed for model in models_of(settings, service)})
    if settings.inference_services.weights.source == "cache":
        return [model_cache(settings, model) for model in models]
    return [weights_claim(settings), weights_job(settings, models)]


def weights_claim(settings: Settings) -> V1PersistentVolumeClaim:
    """Return the claim for the volume that one job fills and every pod reads."""
    from kubernetes import client

    weights = settings.inference_services.weights
    return client.V1PersistentVolumeClaim(
        api_version="v1",
        kind="PersistentVolumeClaim",
        metadata=metadata(settings, weights.claim),
        spec=client.V1PersistentVolumeClaimSpec(
            access_modes=["ReadWriteMany"],
            storage_class_name=weights.storage_class,
            resources=client.V1VolumeResourceRequirements(requests={"storage": weights.size}),
        ),
    )


def weights_job(settings: Settings, models: list[str]) -> V1Job:
    """Return the job that fills the volume with ``models``.

    A job cannot be changed, so its name says what it fetches: other models, revisions or another image are another job.
    """
    from kubernetes import client

    services = settings.inference_services
    wanted = [f"{model}@{_revision(settings, model)}" for model in models]
    digest = hashlib.sha256("\n".join([settings.cluster.image(services.weights.image), *wanted]).encode()).hexdigest()[:8]
    claim = client.V1PersistentVolumeClaimVolumeSource(claim_name=services.weights.claim)
    return client.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=metadata(settings, f"{services.weights.claim}-{digest}"),
        spec=client.V1JobSpec(
            backoff_limit=6,
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=FETCHES),
                spec=client.V1PodSpec(
                    restart_policy="OnFailure",
                    service_account_name=FETCHES["app.kubernetes.io/name"],
                    automount_service_account_token=False,
                    enable_service_links=False,
                    containers=[_downloader(settings, wanted)],
                    volumes=[
                        client.V1Volume(name="models", persistent_volume_claim=claim),
                        client.V1Volume(name="tmp", empty_dir=client.V1EmptyDirVolumeSource(size_limit="1Gi")),
                    ],
                    security_context=client.V1PodSecurityContext(
                        run_as_non_root=True,
                        run_as_user=services.user,
                        run_as_group=services.user,
                        fs_group=services.user,
                        seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
                    ),
                ),
            ),
        ),
    )


def model_cache(settings: Settings, model: str) -> V1alpha1LocalModelCache:
    """Return the LocalModelCache that has KServe keep ``model`` on the disks of the nodes of ``weights.node_group``.

    A service finds it by its address alone, and is then scheduled on those nodes. Without KServe's local model feature the same
    address makes KServe download the model at every pod's start, without a word.
    """
    from kserve import models

    weights = settings.inference_services.weights
    slug = re.sub(r"[^a-z0-9]+", "-", f"{model}-{_revision(settings, model)}".lower()).strip("-")
    return models.V1alpha1LocalModelCache(
        api_version="serving.kserve.io/v1alpha1",
        kind="LocalModelCache",
        metadata=metadata(settings, slug[:50].strip("-"), namespaced=False),
        spec=models.V1alpha1LocalModelCacheSpec(
            source_model_uri=weights_uri(settings, model), model_size=weights.cached_size, node_groups=[weights.node_group]
        ),
    )


def _downloader(settings: Settings, wanted: list[str]) -> V1Container:
    from kubernetes import client

    services = settings.inference_services
    token = client.V1SecretKeySelector(name=settings.cluster.secret, key=services.weights.token_key, optional=True)
    return client.V1Container(
        name="fill-model-volume",
        image=settings.cluster.image(services.weights.image),
        command=["python", "-m", "inference_services.fill_model_volume"],
        args=[MODELS, *wanted],
        # The hub's client writes a cache of its own; the image is read-only, the volume is not.
        env=[
            client.V1EnvVar(name="HF_HOME", value=f"{MODELS}/.hub"),
            client.V1EnvVar(name="HF_HUB_DISABLE_TELEMETRY", value="1"),
            client.V1EnvVar(name="HF_TOKEN", value_from=client.V1EnvVarSource(secret_key_ref=token)),
        ],
        resources=client.V1ResourceRequirements(requests={"cpu": "1", "memory": "4Gi"}, limits={"cpu": "4", "memory": "4Gi"}),
        volume_mounts=[
            client.V1VolumeMount(name="models", mount_path=MODELS),
            client.V1VolumeMount(name="tmp", mount_path="/tmp"),
        ],
        security_context=client.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=client.V1Capabilities(drop=["ALL"]),
        ),
    )


def _revision(settings: Settings, model: str) -> str:
    return settings.inference_services.weights.revisions.get(model, "main")


def _hub_name(setting: str, model: str | None) -> str:
    if model is None or not HUB_NAME.fullmatch(model):
        raise SettingsError(
            f"{setting} is {model!r}; a cluster fetches its models by a hub name such as "
            "unsloth/Meta-Llama-3.1-8B-Instruct: set one, or use --profile cluster"
        )
    return model
