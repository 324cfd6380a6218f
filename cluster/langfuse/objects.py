"""Langfuse as Kubernetes runs it: what people see, what works in the background, and where both keep things.

The first start makes one organisation, one project with the secret's two keys, and one user: whoever sends traces has valid keys
before anybody has signed in, and nobody else can sign up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from cluster.langfuse.clickhouse import HTTP, LOGIN, NATIVE, PASSWORD, PASSWORD_KEY, clickhouse
from cluster.langfuse.clickhouse import NAME as CLICKHOUSE
from cluster.object_store import REGION, object_store, object_store_endpoint, object_store_keys
from cluster.part import Object
from cluster.pod import container, empty, from_secret, http_probe, literal, mount, pod_template
from cluster.postgres import postgres, postgres_address
from cluster.redis import PORT as REDIS_PORT
from cluster.redis import password_key as redis_password_key
from cluster.redis import redis, redis_name
from cluster.workload import deployment, service
from inference_services.cluster_objects import as_kubernetes_reads_it

if TYPE_CHECKING:
    from kubernetes.client import V1Deployment, V1EnvVar

OWNER = "langfuse"
WEB, WORKER = "langfuse-web", "langfuse-worker"
WEB_PORT, WORKER_PORT = 3000, 3030
USER = 1001
"""``nextjs`` and ``expressjs`` in the images."""

PROJECT = "code-assistant"
BUCKET = "langfuse"
PUBLIC_KEY, SECRET_KEY = "langfuse-public-key", "langfuse-secret-key"


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the four stores, then the two halves of Langfuse and the Service of the one that is asked."""
    built: list[Any] = [
        *postgres(settings, OWNER),
        *redis(settings, OWNER),
        *object_store(settings, OWNER),
        *clickhouse(settings),
        _web(settings),
        service(settings, WEB, {"http": WEB_PORT}),
        _worker(settings),
    ]
    return [as_kubernetes_reads_it(thing) for thing in built]


def _web(settings: Settings) -> V1Deployment:
    program = container(
        settings,
        "web",
        settings.cluster.langfuse.web_image,
        compute=settings.cluster.langfuse.compute,
        env=[*_environment(settings, WEB_PORT), *_first_start(settings)],
        ports={"http": WEB_PORT},
        mounts=[mount("tmp", "/tmp"), mount("cache", "/app/web/.next/cache")],
        # It brings the schemas of both databases up to date before it answers.
        startup=http_probe("/api/public/health", "http", failures=60),
        readiness=http_probe("/api/public/ready", "http"),
        liveness=http_probe("/api/public/health", "http", failures=6),
        leave_seconds=5,
    )
    template = pod_template(WEB, [program], user=USER, volumes=[empty("tmp", "1Gi"), empty("cache", "1Gi")], grace_seconds=60)
    return deployment(settings, WEB, template)


def _worker(settings: Settings) -> V1Deployment:
    program = container(
        settings,
        "worker",
        settings.cluster.langfuse.worker_image,
        compute=settings.cluster.langfuse.compute,
        env=_environment(settings, WORKER_PORT),
        ports={"http": WORKER_PORT},
        mounts=[mount("tmp", "/tmp")],
        startup=http_probe("/api/health", "http", failures=60),
        readiness=http_probe("/api/health", "http"),
        liveness=http_probe("/api/health", "http", failures=6),
    )
    template = pod_template(WORKER, [program], user=USER, volumes=[empty("tmp", "1Gi")], grace_seconds=60)
    return deployment(settings, WORKER, template)


def _environment(settings: Settings, port: int) -> list[V1EnvVar]:
    """What both halves read (https://langfuse.com/self-hosting/configuration)."""
    values = {
        # Kubernetes sets HOSTNAME to the pod's name, and Next.js would listen on that address only.
        "HOSTNAME": "0.0.0.0",
        "PORT": str(port),
        "HOME": "/tmp",
        "NEXTAUTH_URL": settings.cluster.langfuse.url,
        "TELEMETRY_ENABLED": "false",
        "NEXT_TELEMETRY_DISABLED": "1",
        "CHECKPOINT_DISABLE": "1",
        "CLICKHOUSE_URL": f"http://{CLICKHOUSE}:{HTTP}",
        "CLICKHOUSE_MIGRATION_URL": f"clickhouse://{CLICKHOUSE}:{NATIVE}",
        "CLICKHOUSE_USER": LOGIN,
        "CLICKHOUSE_CLUSTER_ENABLED": "false",
        "REDIS_HOST": redis_name(OWNER),
        "REDIS_PORT": str(REDIS_PORT),
        "LANGFUSE_S3_EVENT_UPLOAD_BUCKET": BUCKET,
        "LANGFUSE_S3_EVENT_UPLOAD_PREFIX": "events/",
        "LANGFUSE_S3_EVENT_UPLOAD_REGION": REGION,
        "LANGFUSE_S3_EVENT_UPLOAD_ENDPOINT": object_store_endpoint(OWNER),
        "LANGFUSE_S3_EVENT_UPLOAD_FORCE_PATH_STYLE": "true",
    }
    secrets = {
        PASSWORD: PASSWORD_KEY,
        "REDIS_AUTH": redis_password_key(OWNER),
        "SALT": "langfuse-salt",
        "ENCRYPTION_KEY": "langfuse-encryption-key",
        "NEXTAUTH_SECRET": "langfuse-session-key",
    }
    prefix = "LANGFUSE_S3_EVENT_UPLOAD"
    return [
        *(literal(name, value) for name, value in values.items()),
        *(from_secret(settings, name, key) for name, key in secrets.items()),
        *object_store_keys(settings, OWNER, access_key=f"{prefix}_ACCESS_KEY_ID", secret_key=f"{prefix}_SECRET_ACCESS_KEY"),
        *postgres_address(settings, OWNER, "DATABASE_URL"),
    ]


def _first_start(settings: Settings) -> list[V1EnvVar]:
    values = {
        "AUTH_DISABLE_SIGNUP": "true",
        "LANGFUSE_INIT_ORG_ID": PROJECT,
        "LANGFUSE_INIT_ORG_NAME": "Code assistant",
        "LANGFUSE_INIT_PROJECT_ID": PROJECT,
        "LANGFUSE_INIT_PROJECT_NAME": "Code assistant",
        "LANGFUSE_INIT_USER_EMAIL": settings.cluster.langfuse.admin_email,
        "LANGFUSE_INIT_USER_NAME": "Administrator",
    }
    secrets = {
        "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": PUBLIC_KEY,
        "LANGFUSE_INIT_PROJECT_SECRET_KEY": SECRET_KEY,
        "LANGFUSE_INIT_USER_PASSWORD": "langfuse-admin-password",
    }
    return [
        *(literal(name, value) for name, value in values.items()),
        *(from_secret(settings, name, key) for name, key in secrets.items()),
    ]
