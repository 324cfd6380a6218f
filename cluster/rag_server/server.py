"""The RAG server's pods, their number, and the database and counters that they share.

Pods keep nothing: users and conversations are in PostgreSQL, limits in Valkey, the index in Qdrant. Of the shared volume they
read the corpus alone, to show the lines that an answer cites.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from cluster.access import RAG_SERVER
from cluster.configuration import params_digest, params_environment, params_mount, params_volume
from cluster.network.policies import INSIDE
from cluster.part import Object
from cluster.pod import claimed, container, empty, from_secret, http_probe, literal, mount, pod_template
from cluster.postgres import postgres, postgres_address
from cluster.rag_server.exposure import own_names, route
from cluster.redis import redis, redis_address
from cluster.workload import deployment, disruption_budget, service
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.object_metadata import metadata
from runtimes.training_runtime import HOME

if TYPE_CHECKING:
    from kubernetes.client import V1Container, V1EnvVar, V1PodTemplateSpec, V2HorizontalPodAutoscaler

SERVICE_PORT = 80
LEAVE_SECONDS, SHUTDOWN_SECONDS = 10, 20
"""Until no router sends a pod more, and for what it answers then."""

CALM_SECONDS = 300
"""The load must be down for so long before a replica is ended."""

PROBES_A_MINUTE = 6


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the server with its database and counters, what scales it, and what leads to it."""
    built: list[Any] = [
        *postgres(settings, RAG_SERVER, settings.cluster.rag_server.database_size),
        *redis(settings, RAG_SERVER),
        service(settings, RAG_SERVER, {"http": SERVICE_PORT}),
        deployment(settings, RAG_SERVER, _pods(settings), replicas=None),
        _autoscaler(settings),
        disruption_budget(settings, RAG_SERVER),
        *route(settings, RAG_SERVER, SERVICE_PORT),
    ]
    return [as_kubernetes_reads_it(thing) for thing in built]


def server_environment(settings: Settings) -> list[V1EnvVar]:
    """Return the environment of a pod: where the settings are, the keys, and what only a replica among others has to be told."""
    index, model = settings.index, settings.model
    model_key = settings.inference_services.api_key
    return [
        *params_environment(HOME),
        literal("HOME", "/tmp"),
        *_of_a_replica(settings),
        from_secret(settings, settings.rag.admin_key_variable, "admin-key"),
        from_secret(settings, index.qdrant_api_key_variable, "qdrant-api-key"),
        from_secret(settings, index.embedding_api_key_variable, model_key),
        from_secret(settings, model.api_key_variable, model_key),
        *_langfuse_keys(settings),
        *(
            from_secret(settings, variable, key, optional=True)
            for variable, key in settings.inference_services.secret_variables.items()
        ),
        *postgres_address(settings, RAG_SERVER, settings.rag.database_url_variable, scheme="postgresql+psycopg"),
        *redis_address(settings, RAG_SERVER, settings.rag.redis_url_variable),
    ]


def _langfuse_keys(settings: Settings) -> list[V1EnvVar]:
    tracing = settings.tracing
    # With keys and no address, Langfuse's SDK would send traces to its makers' cloud.
    if tracing.langfuse_url is None:
        return []
    return [
        from_secret(settings, tracing.public_key_variable, "langfuse-public-key", optional=True),
        from_secret(settings, tracing.secret_key_variable, "langfuse-secret-key", optional=True),
    ]


def _of_a_replica(settings: Settings) -> list[V1EnvVar]:
    # A node asks all of its replicas from one address, and so does Prometheus. While a version replaces another, there are more.
    probes = settings.rag.health_rate_limit + 2 * PROBES_A_MINUTE * settings.cluster.rag_server.maximum
    hosts = settings.rag.allowed_hosts or own_names(settings, RAG_SERVER)
    values = {"CIA_RAG__HEALTH_RATE_LIMIT": str(probes), "CIA_RAG__ALLOWED_HOSTS": json.dumps(hosts)}
    if settings.cluster.rag_server.exposed_by != "nothing":
        # Limits count a client's own address, which the ingress controller passes on.
        values["FORWARDED_ALLOW_IPS"] = ",".join(INSIDE)
    return [literal(name, value) for name, value in values.items()]


def _pods(settings: Settings) -> V1PodTemplateSpec:
    return pod_template(
        RAG_SERVER,
        [_container(settings)],
        user=settings.inference_services.user,
        volumes=[
            params_volume(settings),
            empty("home", "1Gi"),
            claimed("shared", settings.cluster.home_claim),
            empty("tmp", "1Gi"),
        ],
        grace_seconds=LEAVE_SECONDS + SHUTDOWN_SECONDS,
        annotations=params_digest(settings),
    )


def _container(settings: Settings) -> V1Container:
    server = settings.cluster.rag_server
    every = 60 // PROBES_A_MINUTE
    return container(
        settings,
        RAG_SERVER,
        server.image,
        compute=server.compute,
        command=["cia", "serve", "--host", "0.0.0.0", "--port", str(settings.rag.port)],
        env=server_environment(settings),
        ports={"http": settings.rag.port},
        mounts=[
            params_mount(),
            mount("home", HOME),
            mount("shared", f"{HOME}/corpus", sub_path="corpus", read_only=True),
            mount("tmp", "/tmp"),
        ],
        startup=http_probe("/healthz", "http", failures=18, every_seconds=every),
        readiness=http_probe("/readyz", "http", failures=2, every_seconds=every),
        liveness=http_probe("/healthz", "http", failures=6, every_seconds=every),
        leave_seconds=LEAVE_SECONDS,
    )


def _autoscaler(settings: Settings) -> V2HorizontalPodAutoscaler:
    from kubernetes import client

    server = settings.cluster.rag_server
    target = client.V2MetricTarget(type="Utilization", average_utilization=server.cpu_percent)
    cpu = client.V2MetricSpec(type="Resource", resource=client.V2ResourceMetricSource(name="cpu", target=target))
    return client.V2HorizontalPodAutoscaler(
        api_version="autoscaling/v2",
        kind="HorizontalPodAutoscaler",
        metadata=metadata(settings, RAG_SERVER),
        spec=client.V2HorizontalPodAutoscalerSpec(
            scale_target_ref=client.V2CrossVersionObjectReference(api_version="apps/v1", kind="Deployment", name=RAG_SERVER),
            min_replicas=server.minimum,
            max_replicas=max(server.minimum, server.maximum),
            metrics=[cpu],
            behavior=client.V2HorizontalPodAutoscalerBehavior(
                scale_down=client.V2HPAScalingRules(stabilization_window_seconds=CALM_SECONDS)
            ),
        ),
    )
