"""Qdrant as Kubernetes runs it, the schedule of its snapshots, and the job that puts one back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from cluster.configuration import params_environment, params_mount, params_volume
from cluster.part import Object
from cluster.pod import claimed, container, empty, from_secret, http_probe, literal, mount, pod_template
from cluster.qdrant.saved import LATEST
from cluster.workload import claim_template, cron_job, disruption_budget, job, service, stateful_set, volume_claim
from inference_services.cluster_objects import as_kubernetes_reads_it

if TYPE_CHECKING:
    from kubernetes.client import V1EnvVar, V1Job, V1PodTemplateSpec

NAME = "qdrant"
PODS = "qdrant-pods"
"""The headless Service by which each node has a name: qdrant-0.qdrant-pods."""

SNAPSHOT, RESTORE = "qdrant-snapshot", "qdrant-restore"
CLAIM = "qdrant-snapshots"
FOLDER = "/snapshots"
API_KEY = "qdrant-api-key"

HTTP, GRPC, PEERS = 6333, 6334, 6335
USER = 1000
"""``qdrant`` in the unprivileged image."""

DATA = "/qdrant/data"
COPIES = 2
"""Of each shard, where there is more than one node: any one of them can be away."""

SNAPSHOT_SECONDS = 6 * 3600


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the server with its volumes and Services, and the schedule that saves the index."""
    replicas = settings.cluster.qdrant.replicas
    ports = {"http": HTTP, "grpc": GRPC}
    built: list[Any] = [
        service(settings, NAME, ports),
        service(settings, PODS, {**ports, "peers": PEERS}, pods=NAME, headless=True),
        _server(settings),
        volume_claim(settings, CLAIM, settings.cluster.qdrant.snapshots_size),
        cron_job(
            settings,
            SNAPSHOT,
            settings.cluster.qdrant.snapshot_schedule,
            _at_snapshots(settings, SNAPSHOT, "cluster.qdrant.snapshot", []),
            seconds=SNAPSHOT_SECONDS,
        ),
    ]
    if replicas > 1:
        built.append(disruption_budget(settings, NAME))
    return [as_kubernetes_reads_it(thing) for thing in built]


def restore_job(settings: Settings, snapshot: str = LATEST, name: str = RESTORE) -> V1Job:
    """Return the job that puts ``snapshot`` back, once. It is none of what is applied: `cluster.qdrant.restoring` starts it."""
    template = _at_snapshots(settings, RESTORE, "cluster.qdrant.restore", [snapshot])
    return job(settings, name, template, tries=1, seconds=SNAPSHOT_SECONDS)


def node_urls(settings: Settings) -> list[str]:
    """Return the address of each node, in the order of their numbers."""
    return [f"http://{NAME}-{number}.{PODS}:{HTTP}" for number in range(settings.cluster.qdrant.replicas)]


def _server(settings: Settings) -> Any:
    qdrant = settings.cluster.qdrant
    program = container(
        settings,
        "qdrant",
        qdrant.image,
        compute=qdrant.compute,
        command=["bash", "-c", _start(qdrant.replicas)],
        env=_environment(settings),
        ports={"http": HTTP, "grpc": GRPC, "peers": PEERS},
        mounts=[mount("data", DATA), mount("tmp", "/tmp")],
        # A large index takes minutes to load.
        startup=http_probe("/readyz", "http", failures=90),
        readiness=http_probe("/readyz", "http"),
        liveness=http_probe("/livez", "http", failures=6),
        leave_seconds=5,
    )
    template = pod_template(NAME, [program], user=USER, volumes=[empty("tmp", "256Mi")], grace_seconds=120)
    data = claim_template(settings, "data", qdrant.size)
    return stateful_set(settings, NAME, template, service=PODS, claims=[data], replicas=qdrant.replicas)


def _start(replicas: int) -> str:
    if replicas == 1:
        return "exec ./qdrant"
    first, here = f"http://{NAME}-0.{PODS}:{PEERS}", f"http://$HOSTNAME.{PODS}:{PEERS}"
    # The first node founds the cluster, the others join it.
    return f'if [ "$HOSTNAME" = {NAME}-0 ]; then exec ./qdrant --uri {first}; fi; exec ./qdrant --bootstrap {first} --uri {here}'


def _environment(settings: Settings) -> list[V1EnvVar]:
    replicas = settings.cluster.qdrant.replicas
    values = {
        "QDRANT__STORAGE__STORAGE_PATH": f"{DATA}/storage",
        "QDRANT__STORAGE__SNAPSHOTS_PATH": f"{DATA}/snapshots",
        "QDRANT_INIT_FILE_PATH": "/tmp/.qdrant-initialized",
        "QDRANT__TELEMETRY_DISABLED": "true",
        "QDRANT__SERVICE__ENABLE_CORS": "false",
        # A restore sends its files; a server that fetched them would fetch from anywhere.
        "QDRANT__SERVICE__ENABLE_SNAPSHOT_URL_RECOVERY": "false",
        "QDRANT__CLUSTER__ENABLED": "true" if replicas > 1 else "false",
        "QDRANT__STORAGE__COLLECTION__REPLICATION_FACTOR": str(min(replicas, COPIES)),
    }
    key = from_secret(settings, "QDRANT__SERVICE__API_KEY", API_KEY)
    return [*(literal(name, value) for name, value in values.items()), key]


def _at_snapshots(settings: Settings, name: str, module: str, arguments: Sequence[str]) -> V1PodTemplateSpec:
    program = container(
        settings,
        name,
        settings.pipeline.image,
        compute=settings.cluster.qdrant.snapshot_compute,
        command=["python", "-m", module],
        args=["--folder", FOLDER, *arguments, *node_urls(settings)],
        env=[*params_environment("/tmp/cia"), from_secret(settings, settings.index.qdrant_api_key_variable, API_KEY)],
        mounts=[params_mount(), mount("snapshots", FOLDER), mount("tmp", "/tmp")],
    )
    volumes = [params_volume(settings), claimed("snapshots", CLAIM), empty("tmp", "64Mi")]
    return pod_template(name, [program], user=settings.inference_services.user, volumes=volumes)
