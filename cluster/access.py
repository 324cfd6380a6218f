"""Who may ask the Kubernetes API for what: an account for each workload, and rights for those that call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from cluster.part import Object
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.model_weights import FETCHES
from inference_services.object_metadata import metadata
from inference_services.vllm_pod import ACCOUNT as VLLM
from runtimes.base_model_job import NAME as BASE_MODEL
from runtimes.training_runtime import TRAINING

if TYPE_CHECKING:
    from kubernetes.client import V1PolicyRule, V1ServiceAccount

RAG_SERVER = "rag-server"
INDEX = "index"

WITHOUT_RIGHTS = (
    RAG_SERVER, "rag-server-postgres", "rag-server-redis", INDEX,
    "qdrant", "qdrant-snapshot", "qdrant-restore",
    "mlflow", "mlflow-postgres", "mlflow-object-store",
    "langfuse-web", "langfuse-worker", "langfuse-postgres", "langfuse-clickhouse", "langfuse-redis", "langfuse-object-store",
    VLLM, FETCHES["app.kubernetes.io/name"], BASE_MODEL, TRAINING, "gpu-exporter",
)  # fmt: skip
"""Accounts of pods that call no API: each has its own, without rights and without a token."""

READ = ("get", "list", "watch")
RBAC = "rbac.authorization.k8s.io"


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the accounts, and the roles of the account that the pipeline's steps run as."""
    from kubernetes import client

    steps = settings.pipeline.service_account
    reads_runtimes = f"{settings.cluster.namespace}-{steps}"
    account = client.RbacV1Subject(kind="ServiceAccount", name=steps, namespace=settings.cluster.namespace)
    built: list[Any] = [
        *(_account(settings, name) for name in (*WITHOUT_RIGHTS, steps)),
        client.V1Role(api_version=f"{RBAC}/v1", kind="Role", metadata=metadata(settings, steps), rules=_rules_of_steps()),
        client.V1RoleBinding(
            api_version=f"{RBAC}/v1",
            kind="RoleBinding",
            metadata=metadata(settings, steps),
            role_ref=client.V1RoleRef(api_group=RBAC, kind="Role", name=steps),
            subjects=[account],
        ),
        # Runtimes belong to the whole cluster. The name says whose role this is, for there may be several installations.
        client.V1ClusterRole(
            api_version=f"{RBAC}/v1",
            kind="ClusterRole",
            metadata=metadata(settings, reads_runtimes, namespaced=False),
            rules=[_allowed("trainer.kubeflow.org", ["clustertrainingruntimes"], ("get", "list"))],
        ),
        client.V1ClusterRoleBinding(
            api_version=f"{RBAC}/v1",
            kind="ClusterRoleBinding",
            metadata=metadata(settings, reads_runtimes, namespaced=False),
            role_ref=client.V1RoleRef(api_group=RBAC, kind="ClusterRole", name=reads_runtimes),
            subjects=[account],
        ),
    ]
    return [as_kubernetes_reads_it(one) for one in built]


def _account(settings: Settings, name: str) -> V1ServiceAccount:
    from kubernetes import client

    # Pipelines' own containers, which call the API in a step's pod, do not ask for the token that they need.
    return client.V1ServiceAccount(
        api_version="v1",
        kind="ServiceAccount",
        metadata=metadata(settings, name),
        automount_service_account_token=name == settings.pipeline.service_account,
    )


def _rules_of_steps() -> list[V1PolicyRule]:
    """What `fine_tune_llm` does, and what Pipelines' driver and launcher and Argo's executor do in the pods of every step.

    The latter is read from Kubeflow Pipelines 2.17: `backend/src/v2` and its role `pipeline-runner`, which allows far more.
    """
    return [
        _allowed("trainer.kubeflow.org", ["trainjobs"], ("create", "delete", "patch", *READ)),
        _allowed("trainer.kubeflow.org", ["trainingruntimes"], ("get", "list")),
        # Why a job waits, what it prints, and how it ended.
        _allowed("", ["pods", "events"], READ),
        _allowed("", ["pods/log"], ("get",)),
        # The main model leaves its GPU to a training.
        _allowed("serving.kserve.io", ["inferenceservices"], ("get", "patch"), names=["code-assistant"]),
        _allowed("argoproj.io", ["workflowtaskresults"], ("create", "patch")),
        _allowed("argoproj.io", ["workflows"], ("get", "list")),
        _allowed("", ["configmaps"], ("get",), names=["kfp-launcher"]),
        _allowed("", ["secrets"], ("get",), names=["mlpipeline-minio-artifact"]),
    ]


def _allowed(group: str, resources: list[str], verbs: tuple[str, ...], names: list[str] | None = None) -> V1PolicyRule:
    from kubernetes import client

    return client.V1PolicyRule(api_groups=[group], resources=resources, verbs=list(verbs), resource_names=names)
