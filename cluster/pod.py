"""Pods and what they are made of: containers, environment, volumes and probes.

Every pod made here keeps to the restricted Pod Security Standard (https://kubernetes.io/docs/concepts/security/pod-security-standards)
with a read-only root on top, gets no token for the API, and carries the labels by which NetworkPolicies and Services select it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cia.cluster_settings import Compute
from cia.settings import Settings
from inference_services.object_metadata import LABELS

if TYPE_CHECKING:
    from kubernetes.client import (
        V1Container,
        V1EnvVar,
        V1PodTemplateSpec,
        V1Probe,
        V1Volume,
        V1VolumeMount,
    )


def container(
    settings: Settings,
    name: str,
    image: str,
    *,
    compute: Compute,
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    env: Sequence[V1EnvVar] = (),
    ports: Mapping[str, int] | None = None,
    mounts: Sequence[V1VolumeMount] = (),
    startup: V1Probe | None = None,
    readiness: V1Probe | None = None,
    liveness: V1Probe | None = None,
    leave_seconds: int = 0,
) -> V1Container:
    """Return a container with no rights of its own. ``ports`` are those that it listens on, by name.

    ``leave_seconds`` is how long a container that was told to stop still answers, so that routers can forget it first; its image
    needs a ``sleep``.
    """
    from kubernetes import client

    leave = client.V1LifecycleHandler(_exec=client.V1ExecAction(command=["sleep", str(leave_seconds)]))
    return client.V1Container(
        name=name,
        image=settings.cluster.image(image),
        command=list(command) or None,
        args=list(args) or None,
        env=list(env) or None,
        ports=[client.V1ContainerPort(name=key, container_port=port, protocol="TCP") for key, port in (ports or {}).items()]
        or None,
        resources=client.V1ResourceRequirements(
            requests={"cpu": compute.cpu, "memory": compute.memory}, limits={"cpu": compute.cpu_limit, "memory": compute.memory}
        ),
        startup_probe=startup,
        readiness_probe=readiness,
        liveness_probe=liveness,
        lifecycle=client.V1Lifecycle(pre_stop=leave) if leave_seconds else None,
        volume_mounts=list(mounts) or None,
        security_context=client.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=client.V1Capabilities(drop=["ALL"]),
        ),
    )


def literal(name: str, value: str) -> V1EnvVar:
    """Return an environment variable; ``$(OTHER)`` in its value is the value of a variable that stands before it."""
    from kubernetes import client

    return client.V1EnvVar(name=name, value=value)


def from_secret(settings: Settings, name: str, key: str, *, optional: bool = False) -> V1EnvVar:
    """Return an environment variable whose value is ``key`` of the platform's secret."""
    from kubernetes import client

    selector = client.V1SecretKeySelector(name=settings.cluster.secret, key=key, optional=optional or None)
    return client.V1EnvVar(name=name, value_from=client.V1EnvVarSource(secret_key_ref=selector))


def mount(volume: str, path: str, *, sub_path: str | None = None, read_only: bool = False) -> V1VolumeMount:
    """Return the mount of ``volume`` at ``path``."""
    from kubernetes import client

    return client.V1VolumeMount(name=volume, mount_path=path, sub_path=sub_path, read_only=read_only or None)


def empty(name: str, size: str, *, in_memory: bool = False) -> V1Volume:
    """Return a volume that starts empty and goes with its pod."""
    from kubernetes import client

    source = client.V1EmptyDirVolumeSource(size_limit=size, medium="Memory" if in_memory else None)
    return client.V1Volume(name=name, empty_dir=source)


def claimed(name: str, claim: str, *, read_only: bool = False) -> V1Volume:
    """Return the volume that ``claim`` stands for."""
    from kubernetes import client

    source = client.V1PersistentVolumeClaimVolumeSource(claim_name=claim, read_only=read_only or None)
    return client.V1Volume(name=name, persistent_volume_claim=source)


def config_files(name: str, config_map: str) -> V1Volume:
    """Return the volume whose files are the entries of ``config_map``."""
    from kubernetes import client

    return client.V1Volume(name=name, config_map=client.V1ConfigMapVolumeSource(name=config_map))


def http_probe(path: str, port: str, *, failures: int = 3, every_seconds: int = 10, timeout_seconds: int = 5) -> V1Probe:
    """Return a probe that asks the port of that name for ``path``."""
    from kubernetes import client

    asked = client.V1HTTPGetAction(path=path, port=port)
    return client.V1Probe(
        http_get=asked, failure_threshold=failures, period_seconds=every_seconds, timeout_seconds=timeout_seconds
    )


def command_probe(command: Sequence[str], *, failures: int = 3, every_seconds: int = 10, timeout_seconds: int = 5) -> V1Probe:
    """Return a probe that runs ``command`` in the container."""
    from kubernetes import client

    run = client.V1ExecAction(command=list(command))
    return client.V1Probe(_exec=run, failure_threshold=failures, period_seconds=every_seconds, timeout_seconds=timeout_seconds)


def selected(name: str) -> dict[str, str]:
    """Return the labels by which Services, policies and controllers find the pods called ``name``, and no pods of others."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": LABELS["app.kubernetes.io/part-of"]}


def pod_template(
    name: str,
    containers: Sequence[V1Container],
    *,
    user: int,
    volumes: Sequence[V1Volume] = (),
    init_containers: Sequence[V1Container] = (),
    calls_api: bool = False,
    restart_policy: str | None = None,
    grace_seconds: int | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> V1PodTemplateSpec:
    """Return pods that run as ``user``, whose group owns their volumes, with the account that has their name.

    Only with ``calls_api`` do they get its token. `cluster.access` makes the accounts.
    """
    from kubernetes import client

    return client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={**selected(name), **(labels or {})}, annotations=dict(annotations or {}) or None),
        spec=client.V1PodSpec(
            containers=list(containers),
            init_containers=list(init_containers) or None,
            volumes=list(volumes) or None,
            restart_policy=restart_policy,
            termination_grace_period_seconds=grace_seconds,
            service_account_name=name,
            automount_service_account_token=calls_api,
            # A Service would otherwise set NAME_PORT=tcp://... in every pod of the namespace, which some programs read.
            enable_service_links=False,
            security_context=client.V1PodSecurityContext(
                run_as_non_root=True,
                run_as_user=user,
                run_as_group=user,
                fs_group=user,
                fs_group_change_policy="OnRootMismatch",
                seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
            ),
        ),
    )
