"""The pod that every vLLM of a cluster runs in: GPU slices, weights, probes, drain, and no more rights than it needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from inference_services.model_weights import MODELS, weights_uri
from inference_services.vllm_arguments import VLLM_MODULE, vllm_environment

if TYPE_CHECKING:
    from kubernetes.client import V1Container, V1EnvVar, V1Probe, V1ResourceRequirements, V1Volume, V1VolumeMount

GPU = "nvidia.com/gpu"
"""The plain name, also for time slices: the node selector says which nodes have them."""

CONTAINER = "kserve-container"
"""By this name KServe knows the container that serves."""

HOST, PORT = "0.0.0.0", 8080
ACCOUNT = "vllm"
"""Service account of its pods. It has no rights, and they no token."""

STATE = "/var/lib/code-assistant"
"""What `settings.home` is in a pod: adapters, compiled kernels. It goes with the pod."""

COMPILED_GIB = 5
"""Room beside the adapters for compiled kernels and for the adapter that is being fetched."""

TEARDOWN_SECONDS = 30
"""From the last answer until the GPU's memory is free."""

PROBE_SECONDS = 10

SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}


@dataclass(frozen=True)
class VllmPod:
    """One vLLM: ``model`` is the hub name of its weights, ``gpu`` a number of slices, ``cpu`` and ``memory`` amounts."""

    model: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    gpu: int
    cpu: str
    memory: str
    shared_memory: str = "2Gi"
    state_gib: int = COMPILED_GIB
    optional_secrets: Mapping[str, str] = field(default_factory=dict)


def as_in_a_pod(settings: Settings) -> Settings:
    """Return the settings as they are inside a pod, where the home is a volume of its own."""
    return settings.model_copy(update={"home": Path(STATE)})


def environment_without_adapters(settings: Settings) -> dict[str, str]:
    """Return the environment of a vLLM that serves one model and no adapters: `vllm_environment` without the plugin's."""
    everything = vllm_environment(as_in_a_pod(settings))
    kept = {name: value for name, value in everything.items() if not name.startswith("CODE_ASSISTANT_")}
    kept.pop("VLLM_ALLOW_RUNTIME_LORA_UPDATING", None)
    return kept | {"VLLM_PLUGINS": ""}


def predictor_fields(settings: Settings, pod: VllmPod, *, knative: bool = False) -> dict[str, Any]:
    """Return the fields of a V1beta1PredictorSpec that run ``pod``; ``knative`` leaves out what Knative rejects.

    Knative has to allow ``kubernetes.podspec-nodeselector``, ``-tolerations`` and, for weights on a volume claim,
    ``-persistent-volume-claim`` in its feature flags.
    """
    from kubernetes import client

    services = settings.inference_services
    fields: dict[str, Any] = {
        "containers": [_container(settings, pod, drains=not knative)],
        "volumes": _volumes(settings, pod),
        "node_selector": dict(settings.training.node_selector),
        "runtime_class_name": settings.cluster.gpu.runtime_class,
        "tolerations": [client.V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")],
        "service_account_name": ACCOUNT,
        "automount_service_account_token": False,
        # A Service called "vllm" would otherwise set VLLM_PORT in every pod of the namespace.
        "enable_service_links": False,
        "annotations": dict(SCRAPED),
    }
    if not knative:
        fields["termination_grace_period_seconds"] = services.leave_seconds + services.drain_seconds + TEARDOWN_SECONDS
    return fields


def _container(settings: Settings, pod: VllmPod, *, drains: bool) -> V1Container:
    from kubernetes import client

    services = settings.inference_services
    health = client.V1HTTPGetAction(path="/health", port=PORT)

    def probe(failures: int, **options: int) -> V1Probe:
        return client.V1Probe(http_get=health, period_seconds=PROBE_SECONDS, failure_threshold=failures, **options)

    # Told to stop, vLLM refuses new requests at once with 500 and stays healthy: first let the routers forget the pod.
    leave = client.V1LifecycleHandler(_exec=client.V1ExecAction(command=["sleep", str(services.leave_seconds)]))
    return client.V1Container(
        name=CONTAINER,
        image=settings.cluster.image(services.image),
        command=["python3", "-m", VLLM_MODULE],
        args=list(pod.arguments),
        env=_environment(settings, pod),
        # The first port is the Service's port 80. Knative takes no other name for it.
        ports=[client.V1ContainerPort(name="http1", container_port=PORT, protocol="TCP")],
        resources=_resources(pod),
        startup_probe=probe(math.ceil(services.start_seconds / PROBE_SECONDS), timeout_seconds=5),
        readiness_probe=probe(2, timeout_seconds=5),
        liveness_probe=probe(6, timeout_seconds=10),
        lifecycle=client.V1Lifecycle(pre_stop=leave) if drains else None,
        volume_mounts=_mounts(settings),
        security_context=client.V1SecurityContext(
            run_as_non_root=True,
            run_as_user=services.user,
            run_as_group=services.user,
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=client.V1Capabilities(drop=["ALL"]),
            seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
        ),
    )


def _environment(settings: Settings, pod: VllmPod) -> list[V1EnvVar]:
    from kubernetes import client

    services = settings.inference_services
    # Compilers and CUDA keep caches under HOME, which on a read-only root has to be the volume.
    values = {**pod.environment, "HOME": STATE}
    if services.weights.source == "cache":
        # KServe looks up its cache by this variable and mounts what it finds.
        values["STORAGE_URI"] = weights_uri(settings, pod.model)

    def secret(name: str, key: str, *, optional: bool) -> V1EnvVar:
        selector = client.V1SecretKeySelector(name=settings.cluster.secret, key=key, optional=optional)
        return client.V1EnvVar(name=name, value_from=client.V1EnvVarSource(secret_key_ref=selector))

    return [
        *(client.V1EnvVar(name=name, value=value) for name, value in values.items()),
        # Without its key a vLLM does not start, rather than answer anybody.
        secret("VLLM_API_KEY", services.api_key, optional=False),
        *(secret(name, key, optional=True) for name, key in pod.optional_secrets.items()),
    ]


def _resources(pod: VllmPod) -> V1ResourceRequirements:
    from kubernetes import client

    # A limit that is left out KServe sets itself, to one CPU.
    amounts = {"cpu": pod.cpu, "memory": pod.memory, GPU: str(pod.gpu)}
    return client.V1ResourceRequirements(requests=dict(amounts), limits=dict(amounts))


def _volumes(settings: Settings, pod: VllmPod) -> list[V1Volume]:
    from kubernetes import client

    def empty(name: str, size: str, medium: str | None = None) -> V1Volume:
        return client.V1Volume(name=name, empty_dir=client.V1EmptyDirVolumeSource(size_limit=size, medium=medium))

    volumes = [empty("state", f"{pod.state_gib}Gi"), empty("tmp", "1Gi"), empty("shared-memory", pod.shared_memory, "Memory")]
    weights = settings.inference_services.weights
    if weights.source == "claim":
        claim = client.V1PersistentVolumeClaimVolumeSource(claim_name=weights.claim, read_only=True)
        volumes.append(client.V1Volume(name="models", persistent_volume_claim=claim))
    return volumes


def _mounts(settings: Settings) -> list[V1VolumeMount]:
    from kubernetes import client

    mounts = [("state", STATE), ("tmp", "/tmp"), ("shared-memory", "/dev/shm")]
    volumes = [client.V1VolumeMount(name=name, mount_path=path) for name, path in mounts]
    if settings.inference_services.weights.source == "claim":
        volumes.append(client.V1VolumeMount(name="models", mount_path=MODELS, read_only=True))
    return volumes
