"""A Valkey of its own for whoever counts or queues in a Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from cluster.pod import command_probe, container, empty, from_secret, literal, mount, pod_template
from cluster.workload import claim_template, service, stateful_set

if TYPE_CHECKING:
    from kubernetes.client import V1EnvVar

PORT = 6379
USER = 999
"""``valkey`` in the image."""

PASSWORD = "REDIS_PASSWORD"
CONFIGURATION = "/tmp/valkey.conf"
"""In memory: on the command line the password would be in the list of processes."""


def redis_name(owner: str) -> str:
    """Return what the Service, the StatefulSet and its pods are called."""
    return f"{owner}-redis"


def password_key(owner: str) -> str:
    """Return the key of the password in the platform's secret."""
    return f"{owner}-redis-password"


def redis(settings: Settings, owner: str) -> list[Any]:
    """Return the Service and StatefulSet of ``owner``'s Valkey. It forgets nothing by itself: a full one refuses to write."""
    name = redis_name(owner)
    ping = ["sh", "-c", f'REDISCLI_AUTH="${PASSWORD}" valkey-cli ping | grep -q PONG']
    program = container(
        settings,
        "valkey",
        settings.cluster.redis.image,
        compute=settings.cluster.redis.compute,
        command=["sh", "-c", _start(settings)],
        env=[from_secret(settings, PASSWORD, password_key(owner))],
        ports={"redis": PORT},
        mounts=[mount("data", "/data"), mount("tmp", "/tmp")],
        # It answers LOADING, and no PONG, until it has read its data.
        startup=command_probe(ping, failures=60),
        readiness=command_probe(ping),
        liveness=command_probe(ping, failures=6),
    )
    template = pod_template(name, [program], user=USER, volumes=[empty("tmp", "16Mi", in_memory=True)], grace_seconds=60)
    return [
        service(settings, name, {"redis": PORT}),
        stateful_set(
            settings,
            name,
            template,
            service=name,
            claims=[claim_template(settings, "data", settings.cluster.redis.size)],
        ),
    ]


def redis_address(settings: Settings, owner: str, variable: str) -> list[V1EnvVar]:
    """Return the environment in which ``variable`` is the address of ``owner``'s Valkey, password and all."""
    return [
        from_secret(settings, PASSWORD, password_key(owner)),
        literal(variable, f"redis://:$({PASSWORD})@{redis_name(owner)}:{PORT}/0"),
    ]


def _start(settings: Settings) -> str:
    from kubernetes.utils import parse_quantity

    # The rest is for clients, and for the copies that are made while its log is rewritten.
    maximum = int(parse_quantity(settings.cluster.redis.compute.memory) * 2 / 3)
    options = f"port {PORT}\\nmaxmemory {maximum}\\nmaxmemory-policy noeviction\\nappendonly yes\\ndir /data\\n"
    write = f"umask 077 && printf 'requirepass %s\\n{options}' \"${PASSWORD}\" > {CONFIGURATION}"
    return f"{write} && exec valkey-server {CONFIGURATION}"
