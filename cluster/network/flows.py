"""Every connection that the platform's pods make, as one table. Both ends of each are opened, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cia.settings import Settings
from cluster.access import INDEX, RAG_SERVER
from cluster.pod import selected
from inference_services.object_metadata import LABELS
from inference_services.vllm_pod import PORT as VLLM
from runtimes.gpu_labels import LABELLER
from runtimes.training_runtime import TRAINING

OURS = {"app.kubernetes.io/part-of": LABELS["app.kubernetes.io/part-of"]}

MODEL, EMBEDDINGS = "code-assistant", "embeddings"
QDRANT, MLFLOW, LANGFUSE, POSTGRES, REDIS, S3 = 6333, 5000, 3000, 5432, 6379, 8333
QDRANT_PEERS = 6335
CLICKHOUSE = (8123, 9000)
"""ClickHouse's HTTP port, and the one of its own protocol."""

PIPELINES = (8887, 8888, 8080, 8333, 9000)
"""Of Kubeflow Pipelines 2: its API by gRPC and by HTTP, the metadata store, and the object store's two."""


KNATIVE = (8012, 8013, 8022, 9090)
"""Of the proxy that Knative puts into a pod: requests, probes, and the load that its autoscaler reads."""


@dataclass(frozen=True, slots=True)
class Pods:
    """Some of our pods, by their labels. ``name`` is what their policy is called."""

    name: str
    labels: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Flow:
    """``source`` opens connections to ``target`` at these ``ports``, over TCP."""

    source: Pods
    target: Pods
    ports: tuple[int, ...]


def pods(name: str) -> Pods:
    """Return the pods of the workload ``name``."""
    return Pods(name, selected(name))


STEPS = Pods("pipeline-steps", {**OURS, "pipelines.kubeflow.org/v2_component": "true"})
"""Our steps: Kubeflow Pipelines puts the second label on all of its pods, and the pipelines put the first on theirs."""

REFRESH_SERVING = pods("refresh-serving")
"""The step that waits until the server answers with what was promoted. Nobody but the server reaches the model itself."""

FETCHING = Pods("reaches-outside", {**OURS, "code-assistant/reaches": "outside"})
"""What fetches code or weights: the first step, the schedule of the index, the jobs that fill a volume with models."""


def flows(settings: Settings) -> Iterator[Flow]:
    """Yield who connects to whom among the platform's own pods."""
    rag, mlflow, qdrant = pods(RAG_SERVER), pods("mlflow"), pods("qdrant")
    model, embeddings, langfuse = pods(MODEL), pods(EMBEDDINGS), pods("langfuse-web")
    yield Flow(rag, model, (VLLM,))
    yield Flow(rag, pods("rag-server-postgres"), (POSTGRES,))
    yield Flow(rag, pods("rag-server-redis"), (REDIS,))
    for reader in (rag, STEPS):
        yield Flow(reader, mlflow, (MLFLOW,))
        yield Flow(reader, langfuse, (LANGFUSE,))
    for reader in (rag, STEPS, pods(INDEX)):
        yield Flow(reader, qdrant, (QDRANT,))
        yield Flow(reader, embeddings, (VLLM,))
    yield Flow(REFRESH_SERVING, rag, (settings.rag.port,))
    # Adapters: a training logs its own, vLLM fetches the one that a request names.
    yield Flow(pods(TRAINING), mlflow, (MLFLOW,))
    yield Flow(model, mlflow, (MLFLOW,))
    yield Flow(qdrant, qdrant, (QDRANT_PEERS,))
    for keeper in ("qdrant-snapshot", "qdrant-restore"):
        yield Flow(pods(keeper), qdrant, (QDRANT,))
    yield Flow(mlflow, pods("mlflow-postgres"), (POSTGRES,))
    yield Flow(mlflow, pods("mlflow-object-store"), (S3,))
    for half in (langfuse, pods("langfuse-worker")):
        yield Flow(half, pods("langfuse-postgres"), (POSTGRES,))
        yield Flow(half, pods("langfuse-clickhouse"), CLICKHOUSE)
        yield Flow(half, pods("langfuse-redis"), (REDIS,))
        yield Flow(half, pods("langfuse-object-store"), (S3,))


def callers_of_the_api() -> tuple[Pods, ...]:
    """Return the pods that call the Kubernetes API."""
    return STEPS, pods(LABELLER)


def callers_of_neighbours() -> tuple[Pods, ...]:
    """Return the pods that call what the settings name beside the platform: a judge, a teacher, an OIDC issuer, a collector."""
    return STEPS, pods(RAG_SERVER)


def from_other_namespaces(settings: Settings) -> Iterator[tuple[Pods, str, tuple[int, ...]]]:
    """Yield pods, the namespace from which they are called, and the ports: browsers' requests by the ingress, and Knative's."""
    ingress, services = settings.cluster.network.ingress_namespace, settings.inference_services
    if settings.cluster.rag_server.exposed_by != "nothing":
        yield pods(RAG_SERVER), ingress, (settings.rag.port,)
    if settings.cluster.mlflow.hosts:
        yield pods("mlflow"), ingress, (MLFLOW,)
    if "://localhost" not in settings.cluster.langfuse.url:
        yield pods("langfuse-web"), ingress, (LANGFUSE,)
    if "autoscale-probe" in services.deployed and services.autoscale_probe.mode == "Knative":
        yield pods("autoscale-probe"), "knative-serving", KNATIVE
