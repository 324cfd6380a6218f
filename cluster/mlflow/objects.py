"""MLflow as Kubernetes runs it: a server that asks for a password, its database, and where adapters lie.

No address holds a password: the database's comes from ``PGPASSWORD``, which every PostgreSQL client reads, so that MLflow's own
configuration file is no secret.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from cluster.object_store import REGION, object_store, object_store_endpoint, object_store_keys
from cluster.part import Object
from cluster.pod import claimed, config_files, container, empty, from_secret, http_probe, literal, mount, pod_template
from cluster.postgres import PORT as POSTGRES_PORT
from cluster.postgres import password_key, postgres, postgres_name
from cluster.workload import config_map, deployment, service, volume_claim
from inference_services.cluster_objects import as_kubernetes_reads_it

if TYPE_CHECKING:
    from kubernetes.client import V1Deployment, V1EnvVar

NAME = "mlflow"
PORT = 5000
CLAIM = "mlflow-artifacts"
ARTIFACTS = "/var/lib/mlflow"
BUCKET = "mlflow"
AUTHORISATION = "mlflow-authorisation"
AUTHORISATION_FOLDER = "/etc/mlflow"
DATABASE = f"postgresql+psycopg://{NAME}@{postgres_name(NAME)}:{POSTGRES_PORT}/{NAME}"

AUTHORISATION_FILE = f"""[mlflow]
default_permission = READ
database_uri = {DATABASE}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""
"""Who signs in may read; the one user that is made at the first start, with the secret's password, may do everything.

Checking a password is slow by design, and each request brings one: a checked one is good for a minute.
"""


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the server, its Service, its database, and the volume or the object store that adapters lie on."""
    in_store = settings.cluster.mlflow.artifacts == "s3"
    artifacts = object_store(settings, NAME) if in_store else [volume_claim(settings, CLAIM, settings.cluster.mlflow.size)]
    built: list[Any] = [
        *postgres(settings, NAME),
        *artifacts,
        config_map(settings, AUTHORISATION, {"authorisation.ini": AUTHORISATION_FILE}),
        _server(settings),
        service(settings, NAME, {"http": PORT}),
    ]
    return [as_kubernetes_reads_it(thing) for thing in built]


def arguments(settings: Settings) -> list[str]:
    """Return the command line after ``mlflow server``."""
    destination = f"s3://{BUCKET}" if settings.cluster.mlflow.artifacts == "s3" else ARTIFACTS
    return [
        "--host=0.0.0.0",
        f"--port={PORT}",
        "--workers=2",
        f"--backend-store-uri={DATABASE}",
        "--serve-artifacts",
        f"--artifacts-destination={destination}",
        f"--allowed-hosts={','.join(allowed_hosts(settings))}",
        "--app-name=basic-auth",
    ]


def allowed_hosts(settings: Settings) -> list[str]:
    """Return the Host headers that the server answers to: its names in the cluster, and what a port-forward is called here."""
    inside = f"{NAME}.{settings.cluster.namespace}"
    names = [NAME, inside, f"{inside}.svc", f"{inside}.svc.cluster.local", "localhost", "127.0.0.1"]
    return [*(form for name in names for form in (name, f"{name}:{PORT}")), *settings.cluster.mlflow.hosts]


def _server(settings: Settings) -> V1Deployment:
    mounts = [mount("authorisation", AUTHORISATION_FOLDER, read_only=True), mount("tmp", "/tmp")]
    volumes = [config_files("authorisation", AUTHORISATION), empty("tmp", "4Gi")]
    on_claim = settings.cluster.mlflow.artifacts == "claim"
    if on_claim:
        mounts.append(mount("artifacts", ARTIFACTS))
        volumes.append(claimed("artifacts", CLAIM))
    program = container(
        settings,
        "mlflow",
        settings.pipeline.image,
        compute=settings.cluster.mlflow.compute,
        command=["python", "-m", "mlflow", "server"],
        args=arguments(settings),
        env=_environment(settings),
        ports={"http": PORT},
        mounts=mounts,
        startup=http_probe("/health", "http", failures=30),
        readiness=http_probe("/health", "http"),
        liveness=http_probe("/health", "http", failures=6),
        leave_seconds=5,
    )
    digest = hashlib.sha256(AUTHORISATION_FILE.encode()).hexdigest()[:16]
    template = pod_template(
        NAME,
        [program],
        user=settings.inference_services.user,
        volumes=volumes,
        annotations={"code-assistant/authorisation": digest},
    )
    return deployment(settings, NAME, template, alone=on_claim)


def _environment(settings: Settings) -> list[V1EnvVar]:
    variables = [
        from_secret(settings, "PGPASSWORD", password_key(NAME)),
        from_secret(settings, "MLFLOW_AUTH_ADMIN_USERNAME", "mlflow-username"),
        from_secret(settings, "MLFLOW_AUTH_ADMIN_PASSWORD", "mlflow-password"),
        from_secret(settings, "MLFLOW_FLASK_SERVER_SECRET_KEY", "mlflow-session-key"),
        literal("MLFLOW_AUTH_CONFIG_PATH", f"{AUTHORISATION_FOLDER}/authorisation.ini"),
        literal("MLFLOW_DISABLE_TELEMETRY", "true"),
        # It would run evaluations of its own in the server; ours run in the pipeline.
        literal("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
        literal("HOME", "/tmp"),
    ]
    if settings.cluster.mlflow.artifacts == "s3":
        variables += object_store_keys(settings, NAME)
        variables += [
            literal("MLFLOW_S3_ENDPOINT_URL", object_store_endpoint(NAME)),
            literal("AWS_DEFAULT_REGION", REGION),
        ]
    return variables
