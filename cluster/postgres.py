"""A PostgreSQL of its own for whoever needs a database: one that is deleted, filled up or upgraded takes nobody else along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from cluster.pod import command_probe, container, empty, from_secret, literal, mount, pod_template
from cluster.workload import claim_template, service, stateful_set

if TYPE_CHECKING:
    from kubernetes.client import V1EnvVar

PORT = 5432
USER = 999
"""``postgres`` in the image, which is Debian's."""

DATA = "/var/lib/postgresql/data"
PASSWORD = "POSTGRES_PASSWORD"


def postgres_name(owner: str) -> str:
    """Return what the Service, the StatefulSet and its pods are called."""
    return f"{owner}-postgres"


def password_key(owner: str) -> str:
    """Return the key of the password in the platform's secret."""
    return f"{owner}-postgres-password"


def postgres(settings: Settings, owner: str, size: str | None = None) -> list[Any]:
    """Return the Service and StatefulSet of ``owner``'s database, which has its name, and a user of that name."""
    name = postgres_name(owner)
    # By the network: while a first start sets the database up, it listens on a socket only.
    ready = ["pg_isready", "--quiet", "--host=127.0.0.1", f"--username={owner}", f"--dbname={owner}"]
    program = container(
        settings,
        "postgres",
        settings.cluster.postgres.image,
        compute=settings.cluster.postgres.compute,
        env=[
            literal("POSTGRES_USER", owner),
            literal("POSTGRES_DB", owner),
            from_secret(settings, PASSWORD, password_key(owner)),
            # A fresh volume's root holds lost+found, into which initdb would not go.
            literal("PGDATA", f"{DATA}/pgdata"),
        ],
        ports={"postgres": PORT},
        mounts=[
            mount("data", DATA),
            mount("run", "/var/run/postgresql"),
            mount("tmp", "/tmp"),
            mount("shared-memory", "/dev/shm"),
        ],
        # After a crash it replays its log before it answers.
        startup=command_probe(ready, failures=60),
        readiness=command_probe(ready),
        liveness=command_probe(ready, failures=6),
    )
    template = pod_template(
        name,
        [program],
        user=USER,
        # What a runtime gives as shared memory, 64 MiB, is too little for one parallel query.
        volumes=[empty("run", "16Mi"), empty("tmp", "256Mi"), empty("shared-memory", "256Mi", in_memory=True)],
        grace_seconds=120,
    )
    data = claim_template(settings, "data", size or settings.cluster.postgres.size)
    return [
        service(settings, name, {"postgres": PORT}),
        stateful_set(settings, name, template, service=name, claims=[data]),
    ]


def postgres_address(settings: Settings, owner: str, variable: str, *, scheme: str = "postgresql") -> list[V1EnvVar]:
    """Return the environment in which ``variable`` is the address of ``owner``'s database, password and all.

    Kubernetes puts it together in the pod. A generated password needs no quoting in an address.
    """
    host = f"{postgres_name(owner)}:{PORT}"
    return [
        from_secret(settings, PASSWORD, password_key(owner)),
        literal(variable, f"{scheme}://{owner}:$({PASSWORD})@{host}/{owner}"),
    ]
