"""An object store of its own for whoever speaks S3: SeaweedFS in one pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cia.settings import Settings
from cluster.pod import container, empty, from_secret, http_probe, mount, pod_template
from cluster.workload import claim_template, service, stateful_set

if TYPE_CHECKING:
    from kubernetes.client import V1EnvVar

PORT = 8333
USER = 1000
"""``seaweed`` in the image."""

REGION = "us-east-1"
"""It stores in no region, but a signature names one."""

ARGUMENTS = (
    "-logtostderr=true",
    "server",
    "-dir=/data",
    "-volume.max=0",
    # One file on the disk for so many megabytes of objects.
    "-master.volumeSizeLimitMB=1024",
    "-master.telemetry=false",
    # Its insides know no password, so that only S3, which does, listens to others.
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-s3",
    "-s3.ip.bind=0.0.0.0",
    f"-s3.port={PORT}",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
)


def object_store_name(owner: str) -> str:
    """Return what the Service, the StatefulSet and its pods are called."""
    return f"{owner}-object-store"


def object_store_endpoint(owner: str) -> str:
    """Return the address at which ``owner``'s pods find their store. Buckets are parts of the path, and made when first used."""
    return f"http://{object_store_name(owner)}:{PORT}"


def object_store(settings: Settings, owner: str) -> list[Any]:
    """Return the Service and StatefulSet of ``owner``'s store, which knows one user: the secret's."""
    name = object_store_name(owner)
    program = container(
        settings,
        "seaweedfs",
        settings.cluster.object_store.image,
        compute=settings.cluster.object_store.compute,
        command=["weed"],
        args=ARGUMENTS,
        env=object_store_keys(settings, owner),
        ports={"s3": PORT},
        mounts=[mount("data", "/data"), mount("tmp", "/tmp")],
        startup=http_probe("/healthz", "s3", failures=30),
        readiness=http_probe("/healthz", "s3"),
        liveness=http_probe("/healthz", "s3", failures=6),
    )
    template = pod_template(name, [program], user=USER, volumes=[empty("tmp", "1Gi")], grace_seconds=60)
    data = claim_template(settings, "data", settings.cluster.object_store.size)
    return [service(settings, name, {"s3": PORT}), stateful_set(settings, name, template, service=name, claims=[data])]


def object_store_keys(
    settings: Settings, owner: str, *, access_key: str = "AWS_ACCESS_KEY_ID", secret_key: str = "AWS_SECRET_ACCESS_KEY"
) -> list[V1EnvVar]:
    """Return the two keys to ``owner``'s store, in the variables of these names."""
    name = object_store_name(owner)
    return [
        from_secret(settings, access_key, f"{name}-access-key"),
        from_secret(settings, secret_key, f"{name}-secret-key"),
    ]
