"""Every key of the cluster's one secret: what it opens, and whether `cia cluster apply` makes it or a person gives it.

The values are nowhere in this repository, and in no rendered object: pods take them by reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["token", "hex64", "username", "pk-lf", "sk-lf"]
"""How a made value reads: 43 characters that a URL takes as they are; 64 hexadecimal digits, which are 256 bits; a name to log in
with; a UUID after the prefix that Langfuse gives its public or its secret keys."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """``generated``: made when it is missing; otherwise a person gives it, and without an ``optional`` one pods start too.

    ``needed_by`` is the part that stops without it, ``what`` a phrase for the person who reads the list.
    """

    key: str
    generated: bool
    needed_by: str
    what: str
    form: Form = "token"
    optional: bool = False


SECRET_KEYS: tuple[SecretKey, ...] = (
    SecretKey("model-api-key", True, "inference-services", "what vLLM wants to see from whoever asks it"),
    SecretKey("hub-token", False, "inference-services", "a model hub's token, for weights behind a licence", optional=True),
    SecretKey("qdrant-api-key", True, "qdrant", "reads and writes the index"),
    SecretKey("mlflow-username", True, "mlflow", "the registry's user", form="username"),
    SecretKey("mlflow-password", True, "mlflow", "that user's password"),
    SecretKey("teacher-api-key", False, "rag-server", "the key of dataset.teacher, where it wants one", optional=True),
    SecretKey("run-webhook-url", False, "rag-server", "where the end of each pipeline run is posted to", optional=True),
    SecretKey("admin-key", True, "rag-server", "the key of the first administrator: `cia users` and the web page take it"),
    SecretKey("rag-server-postgres-password", True, "rag-server", "users, keys and conversations"),
    SecretKey("rag-server-redis-password", True, "rag-server", "the counters of limits"),
    SecretKey("git-username", False, "index-schedule", "who fetches from cluster.git_server", optional=True),
    SecretKey("git-password", False, "index-schedule", "that user's password or access token", optional=True),
    SecretKey("judge-api-key", False, "rag-server", "the key of evaluation.judge, where it wants one", optional=True),
    SecretKey("mlflow-session-key", True, "mlflow", "signs MLflow's login forms"),
    SecretKey("mlflow-postgres-password", True, "mlflow", "MLflow's database"),
    SecretKey("mlflow-object-store-access-key", True, "mlflow", "MLflow's object store, where artifacts go to one"),
    SecretKey("mlflow-object-store-secret-key", True, "mlflow", "MLflow's object store, where artifacts go to one"),
    SecretKey("langfuse-postgres-password", True, "langfuse", "Langfuse's database"),
    SecretKey("langfuse-clickhouse-password", True, "langfuse", "Langfuse's traces"),
    SecretKey("langfuse-redis-password", True, "langfuse", "Langfuse's queues"),
    SecretKey("langfuse-object-store-access-key", True, "langfuse", "Langfuse's object store"),
    SecretKey("langfuse-object-store-secret-key", True, "langfuse", "Langfuse's object store"),
    SecretKey("langfuse-session-key", True, "langfuse", "signs Langfuse's sessions (NEXTAUTH_SECRET)"),
    SecretKey("langfuse-salt", True, "langfuse", "hashes Langfuse's keys; another makes those invalid"),
    SecretKey(
        "langfuse-encryption-key", True, "langfuse", "encrypts what Langfuse stores; without it that is lost", form="hex64"
    ),
    SecretKey("langfuse-public-key", True, "langfuse", "names the project that traces go to", form="pk-lf"),
    SecretKey("langfuse-secret-key", True, "langfuse", "sends traces and reads them", form="sk-lf"),
    SecretKey("langfuse-admin-password", True, "langfuse", "Langfuse's first user"),
    SecretKey("alert-webhook-url", False, "monitoring", "where alerts are posted to, where that is set", optional=True),
)
