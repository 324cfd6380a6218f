"""What the objects of a Kubernetes cluster are made of: names, images, sizes. `cia.settings` holds it as ``cluster``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cia.settings_section import Section

QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti)?$"
"""An amount as Kubernetes writes it: 4, 500m, 32Gi."""

NAME = r"^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$"
"""A name as Kubernetes and KServe take it, with room for what they append."""

HOST = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""A DNS name."""

IMAGE = r"^[a-z0-9][\w./:@-]*$"
"""An image: a name and a tag, or a digest."""

PARAMS_FOLDER = "/etc/code-assistant"
"""Where pods find the settings: ``params.yaml`` in it, which ``CIA_PARAMS`` names."""


class Compute(Section):
    """What a container asks for and may take. Memory is promised in full: no pod is killed for what a neighbour takes."""

    cpu: str = Field(pattern=QUANTITY, description="Cores that are set aside for it.")
    cpu_limit: str = Field(pattern=QUANTITY, description="Cores that it may take when they are idle.")
    memory: str = Field(pattern=QUANTITY, description="Memory that is set aside for it, and over which it is killed.")


class GpuSettings(Section):
    """Time-sliced GPUs: ``training.gpu_slices`` says how many slices each is offered as."""

    device_plugin: bool = Field(
        default=True, description="Run NVIDIA's device plugin; false where the GPU operator does: it is given the ConfigMap."
    )
    namespace: str = Field(
        default="kube-system", pattern=NAME, description="Of the device plugin or the operator: privileged pods, not ours."
    )
    image: str = Field(
        default="nvidia/k8s-device-plugin:v0.18.0",
        pattern=IMAGE,
        description="Device plugin. NVIDIA publishes it in its own registry: mirror it, or write the full address here.",
    )
    node_selector: dict[str, str] = Field(
        default={"nvidia.com/gpu.present": "true"}, description="Labels of the nodes that have GPUs."
    )
    runtime_class: str | None = Field(
        default=None, pattern=NAME, description="RuntimeClass of pods with a GPU, often nvidia; null: the nodes' default."
    )
    label_nodes: bool = Field(
        default=True, description="Label nodes whose GPUs are sliced; false where GPU feature discovery does."
    )


class TrainJobSettings(Section):
    """The pod of a TrainJob, beside its GPU."""

    compute: Compute = Compute(cpu="4", cpu_limit="8", memory="32Gi")
    shared_memory: str = Field(default="8Gi", pattern=QUANTITY, description="Part of it that may be shared memory.")
    base_cache: str = Field(default="huggingface", pattern=NAME, description="Folder of the shared volume with base models.")


class NetworkSettings(Section):
    """Who is a neighbour. Between our own pods nothing is allowed but what one needs of another."""

    pipelines_namespace: str = Field(default="kubeflow", pattern=NAME, description="Of Kubeflow Pipelines and its object store.")
    ingress_namespace: str = Field(default="ingress-nginx", pattern=NAME, description="Of the ingress controller or gateway.")
    api_server: list[str] = Field(
        default=["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"],
        description="Address ranges of the Kubernetes API, which steps call; narrow it to what `kubectl get ep kubernetes` says.",
    )
    api_server_ports: list[int] = Field(default=[443, 6443], description="The ports it may listen on behind its Service.")
    neighbours: list[str] = Field(
        default=[],
        description="More namespaces that steps and the RAG server call: a judge, a teacher, an OIDC issuer, a collector.",
    )


class RagServerClusterSettings(Section):
    """The RAG server, and how people reach it."""

    image: str = Field(default="code-assistant-rag:0.1.0", pattern=IMAGE, description="What it runs in.")
    minimum: int = Field(default=2, gt=0, description="Replicas without load.")
    maximum: int = Field(default=6, gt=0, description="Replicas under load.")
    cpu_percent: int = Field(default=70, gt=0, le=400, description="Of the CPU set aside, over which another replica starts.")
    compute: Compute = Compute(cpu="500m", cpu_limit="2", memory="2Gi")
    database_size: str = Field(default="10Gi", pattern=QUANTITY, description="PostgreSQL with users, keys and conversations.")
    exposed_by: Literal["ingress", "gateway", "nothing"] = Field(
        default="ingress",
        description="What leads to it from outside; gateway needs the Gateway API, nothing leaves port-forward.",
    )
    host: str = Field(default="code-assistant.internal", pattern=HOST, description="Its name in a browser.")
    ingress_class: str | None = Field(default=None, pattern=NAME, description="IngressClass; null: the cluster's default.")
    tls_secret: str = Field(default="code-assistant-tls", pattern=NAME, description="Secret with the certificate of that name.")
    gateway: str = Field(
        default="gateway", pattern=NAME, description="Gateway, in network.ingress_namespace, whose routes we join."
    )


class IndexScheduleSettings(Section):
    """`cia index` on corpus.sources, again and again."""

    schedule: str | None = Field(
        default="17 3 * * *",
        description="When (cron's five fields, UTC); null: never, or where a recurring run of the pipeline does it.",
    )
    compute: Compute = Compute(cpu="1", cpu_limit="4", memory="4Gi")
    timeout_seconds: int = Field(default=4 * 3600, gt=0, description="A run that takes longer is ended.")


class PostgresClusterSettings(Section):
    """Each PostgreSQL: one instance for whoever needs a database."""

    image: str = Field(default="postgres:17.6", pattern=IMAGE, description="PostgreSQL, 15 or newer (Langfuse's demand).")
    size: str = Field(default="20Gi", pattern=QUANTITY, description="Volume of each instance.")
    compute: Compute = Compute(cpu="250m", cpu_limit="2", memory="1Gi")


class RedisClusterSettings(Section):
    """Each Valkey, which is a Redis under a free licence: one instance for whoever needs one."""

    image: str = Field(default="valkey/valkey:8.1.4", pattern=IMAGE, description="Valkey, or Redis 7 or newer.")
    size: str = Field(default="5Gi", pattern=QUANTITY, description="Volume of each instance.")
    compute: Compute = Compute(cpu="100m", cpu_limit="1", memory="512Mi")


class ObjectStoreClusterSettings(Section):
    """Each SeaweedFS, which speaks S3: one instance for whoever stores objects."""

    image: str = Field(default="chrislusf/seaweedfs:4.44", pattern=IMAGE, description="SeaweedFS, 4.44 or newer.")
    size: str = Field(default="100Gi", pattern=QUANTITY, description="Volume of each instance.")
    compute: Compute = Compute(cpu="250m", cpu_limit="2", memory="2Gi")


class QdrantClusterSettings(Section):
    """The index's server, and its snapshots."""

    image: str = Field(
        default="qdrant/qdrant:v1.20.0-unprivileged", pattern=IMAGE, description="The minor version is the client's."
    )
    replicas: int = Field(default=1, ge=1, le=9, description="Above 1 they form a cluster that keeps two copies of each shard.")
    size: str = Field(
        default="50Gi", pattern=QUANTITY, description="Volume of each: the index, and a snapshot while it is taken."
    )
    compute: Compute = Compute(cpu="1", cpu_limit="4", memory="8Gi")
    snapshot_schedule: str = Field(default="30 2 * * *", description="When a snapshot is taken: cron's five fields, UTC.")
    snapshots_kept: int = Field(default=7, ge=1, description="Older ones are deleted when a new one is complete.")
    snapshots_size: str = Field(default="100Gi", pattern=QUANTITY, description="Volume that the snapshots are copied to.")
    snapshot_compute: Compute = Compute(cpu="100m", cpu_limit="1", memory="512Mi")


class MlflowClusterSettings(Section):
    """The registry's server. It runs in the pipeline's image."""

    artifacts: Literal["claim", "s3"] = Field(
        default="claim", description="Where adapters lie: on a volume of the server, or in an object store of its own."
    )
    size: str = Field(default="100Gi", pattern=QUANTITY, description="That volume's size; the object store has its own.")
    hosts: list[str] = Field(default=[], description="Further names that browsers ask for, such as mlflow.example.com.")
    compute: Compute = Compute(cpu="500m", cpu_limit="2", memory="3Gi")


class LangfuseClusterSettings(Section):
    """Langfuse and its ClickHouse."""

    web_image: str = Field(
        default="langfuse/langfuse:4.59.0", pattern=IMAGE, description="4.59 or newer, which version 5 of the SDK asks for."
    )
    worker_image: str = Field(default="langfuse/langfuse-worker:4.59.0", pattern=IMAGE, description="The same version.")
    url: str = Field(
        default="http://localhost:3000",
        pattern=r"^https?://",
        description="Where a browser finds it, as in `kubectl port-forward service/langfuse-web 3000` or behind your ingress.",
    )
    admin_email: str = Field(default="admin@example.com", description="Who signs in first; the secret holds the password.")
    compute: Compute = Compute(cpu="500m", cpu_limit="2", memory="4Gi")
    clickhouse_image: str = Field(
        default="clickhouse/clickhouse-server:25.12", pattern=IMAGE, description="25.12 or newer (Langfuse's demand)."
    )
    clickhouse_size: str = Field(default="100Gi", pattern=QUANTITY, description="Volume of the traces.")
    clickhouse_compute: Compute = Compute(cpu="500m", cpu_limit="4", memory="4Gi")


class MonitoringSettings(Section):
    """What Prometheus, Alertmanager and Grafana are told about the platform. They themselves are the cluster's."""

    deployed: list[Literal["scraping", "rules", "dashboards"]] = Field(
        default=["scraping", "rules", "dashboards"],
        description="What is applied; the first two need the Prometheus Operator, dashboards a Grafana that reads ConfigMaps.",
    )
    namespace: str = Field(default="monitoring", pattern=NAME, description="Of Prometheus, which may ask our pods for metrics.")
    labels: dict[str, str] = Field(
        default={"release": "kube-prometheus-stack"}, description="By which the Prometheus Operator picks up what is ours."
    )
    scrape_seconds: int = Field(default=30, ge=5, description="Between two looks at the metrics.")
    alert_webhook: str | None = Field(
        default=None, description="Key of the secret with the address that alerts are posted to; null: they go where others go."
    )
    slow_answer_seconds: float = Field(default=30.0, gt=0, le=60, description="More in one of 20 answers is an alert.")
    slow_retrieval_seconds: float = Field(default=1.0, gt=0, le=60, description="More in one of 20 searches is an alert.")
    waiting_requests: int = Field(default=20, ge=1, description="More that wait in a model server are an alert.")
    stale_index_hours: float = Field(default=48.0, gt=0, description="A repository that was not indexed for longer is an alert.")
    backup_hours: float = Field(default=48.0, gt=0, description="Without a new snapshot of the index for longer is an alert.")
    cost_a_day: float = Field(default=50.0, gt=0, description="More than this for tokens, at tracing's prices, is an alert.")
    gpu_exporter: bool = Field(
        default=False, description="Run NVIDIA's DCGM exporter on the GPU nodes; false where the GPU operator does."
    )
    gpu_exporter_image: str = Field(
        default="nvidia/dcgm-exporter:4.4.1-4.6.0-ubuntu22.04", pattern=IMAGE, description="What it runs in."
    )


class ClusterSettings(Section):
    """Everything that `cia cluster` applies. It all lives in one namespace: steps and server share a volume."""

    namespace: str = Field(default="code-assistant", pattern=NAME, description="Of every object and of the pipelines' runs.")
    own_namespace: bool = Field(
        default=True, description="Make it and set its Pod Security; false for another's, such as a Kubeflow profile."
    )
    secret: str = Field(default="code-assistant", pattern=NAME, description="Kubernetes secret that all pods take keys from.")
    image_registry: str = Field(default="", description="Put before images that name no registry: your mirror.")
    storage_class: str | None = Field(default=None, description="Of the volumes of one pod each; null: the cluster's default.")
    shared_storage_class: str | None = Field(
        default=None, description="Of the volumes that many pods read and write (ReadWriteMany); null: the cluster's default."
    )
    home_claim: str = Field(
        default="code-assistant-home", pattern=NAME, description="Volume that is CIA_HOME in pods: corpus, runs."
    )
    home_size: str = Field(default="100Gi", pattern=QUANTITY, description="Its size.")
    outside: list[str] = Field(
        default=[],
        description="Address ranges (CIDR) outside the cluster that fetching code and model weights may reach; []: nothing.",
    )
    git_server: str | None = Field(
        default=None,
        pattern=r"^https://[^/\s]+(/\S*)?$",
        description="Server of private repositories, which gets git-username and git-password of the secret; null: none does.",
    )
    params: str = Field(default="code-assistant-params", pattern=NAME, description="ConfigMap with these settings, for all pods.")
    gpu: GpuSettings = GpuSettings()
    train_job: TrainJobSettings = TrainJobSettings()
    network: NetworkSettings = NetworkSettings()
    rag_server: RagServerClusterSettings = RagServerClusterSettings()
    index: IndexScheduleSettings = IndexScheduleSettings()
    postgres: PostgresClusterSettings = PostgresClusterSettings()
    redis: RedisClusterSettings = RedisClusterSettings()
    object_store: ObjectStoreClusterSettings = ObjectStoreClusterSettings()
    qdrant: QdrantClusterSettings = QdrantClusterSettings()
    mlflow: MlflowClusterSettings = MlflowClusterSettings()
    langfuse: LangfuseClusterSettings = LangfuseClusterSettings()
    monitoring: MonitoringSettings = MonitoringSettings()

    def image(self, name: str) -> str:
        """Return the image ``name`` as a pod pulls it: from ``image_registry``, unless it names a registry of its own.

        The first part of a name is a registry when it has a dot or a port, or is localhost (the OCI distribution's grammar).
        """
        first, slash, _ = name.partition("/")
        names_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
        return name if names_registry or not self.image_registry else f"{self.image_registry.rstrip('/')}/{name}"
