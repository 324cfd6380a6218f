"""What keeps pods running: Deployments, StatefulSets, jobs and schedules, with the volumes and Services that they go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cia.settings import Settings
from cluster.pod import selected
from inference_services.object_metadata import LABELS, metadata

if TYPE_CHECKING:
    from kubernetes.client import (
        V1ConfigMap,
        V1CronJob,
        V1Deployment,
        V1Job,
        V1JobSpec,
        V1PersistentVolumeClaim,
        V1PersistentVolumeClaimSpec,
        V1PodDisruptionBudget,
        V1PodSpec,
        V1PodTemplateSpec,
        V1Service,
        V1StatefulSet,
    )

REVISIONS = 3
"""Earlier versions that are kept to roll back to."""

FINISHED_JOBS = 3
"""Finished jobs of a schedule that are kept to look at."""

JOB_SECONDS = 7 * 24 * 3600
"""After which a finished job that was made by hand goes."""


def deployment(
    settings: Settings, name: str, template: V1PodTemplateSpec, *, replicas: int | None = 1, alone: bool = False
) -> V1Deployment:
    """Return a Deployment of ``template``, which has the same ``name``.

    ``replicas`` None leaves the number to an autoscaler. ``alone`` ends the old pod before the new one starts: for a volume
    that only one of them can hold.
    """
    from kubernetes import client

    _spread(name, template.spec, replicas)
    rolling = client.V1RollingUpdateDeployment(max_unavailable=0, max_surge=1)
    return client.V1Deployment(
        api_version="apps/v1",
        kind="Deployment",
        metadata=metadata(settings, name),
        spec=client.V1DeploymentSpec(
            replicas=replicas,
            revision_history_limit=REVISIONS,
            selector=client.V1LabelSelector(match_labels=selected(name)),
            strategy=client.V1DeploymentStrategy(
                type="Recreate" if alone else "RollingUpdate", rolling_update=None if alone else rolling
            ),
            template=template,
        ),
    )


def stateful_set(
    settings: Settings,
    name: str,
    template: V1PodTemplateSpec,
    *,
    service: str,
    claims: Sequence[V1PersistentVolumeClaim],
    replicas: int = 1,
) -> V1StatefulSet:
    """Return a StatefulSet of ``template``, which has the same ``name``; ``service`` is the headless one of its pods.

    Its volumes stay when it is deleted or scaled down.
    """
    from kubernetes import client

    _spread(name, template.spec, replicas)
    retention = client.V1StatefulSetPersistentVolumeClaimRetentionPolicy(when_deleted="Retain", when_scaled="Retain")
    return client.V1StatefulSet(
        api_version="apps/v1",
        kind="StatefulSet",
        metadata=metadata(settings, name),
        spec=client.V1StatefulSetSpec(
            replicas=replicas,
            revision_history_limit=REVISIONS,
            service_name=service,
            # One after the other would never get past a first pod that waits for the second.
            pod_management_policy="Parallel",
            selector=client.V1LabelSelector(match_labels=selected(name)),
            template=template,
            volume_claim_templates=list(claims),
            persistent_volume_claim_retention_policy=retention,
        ),
    )


def claim_template(settings: Settings, name: str, size: str) -> V1PersistentVolumeClaim:
    """Return the claim for the volume ``name`` of each pod of a StatefulSet."""
    from kubernetes import client

    return client.V1PersistentVolumeClaim(
        api_version="v1",
        kind="PersistentVolumeClaim",
        metadata=client.V1ObjectMeta(name=name, labels=dict(LABELS)),
        spec=_claim_spec(size, settings.cluster.storage_class, "ReadWriteOnce"),
    )


def volume_claim(settings: Settings, name: str, size: str, *, shared: bool = False) -> V1PersistentVolumeClaim:
    """Return the claim ``name`` for a volume of one pod, or a ``shared`` one that many pods read and write."""
    from kubernetes import client

    cluster = settings.cluster
    storage_class = cluster.shared_storage_class if shared else cluster.storage_class
    return client.V1PersistentVolumeClaim(
        api_version="v1",
        kind="PersistentVolumeClaim",
        metadata=metadata(settings, name),
        spec=_claim_spec(size, storage_class, "ReadWriteMany" if shared else "ReadWriteOnce"),
    )


def job(settings: Settings, name: str, template: V1PodTemplateSpec, *, tries: int = 2, seconds: int | None = None) -> V1Job:
    """Return a Job that runs ``template``'s pod once to its end, again when it fails, and ``seconds`` at most."""
    from kubernetes import client

    return client.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=metadata(settings, name),
        spec=_job_spec(template, tries, seconds, keep_seconds=JOB_SECONDS),
    )


def cron_job(
    settings: Settings, name: str, schedule: str, template: V1PodTemplateSpec, *, tries: int = 2, seconds: int | None = None
) -> V1CronJob:
    """Return a CronJob: ``template``'s pod at the times of ``schedule`` (cron's five fields, UTC), never twice at once."""
    from kubernetes import client

    return client.V1CronJob(
        api_version="batch/v1",
        kind="CronJob",
        metadata=metadata(settings, name),
        spec=client.V1CronJobSpec(
            schedule=schedule,
            time_zone="Etc/UTC",
            concurrency_policy="Forbid",
            # A controller that was away for an hour makes up for the run that it missed.
            starting_deadline_seconds=3600,
            successful_jobs_history_limit=FINISHED_JOBS,
            failed_jobs_history_limit=FINISHED_JOBS,
            job_template=client.V1JobTemplateSpec(
                metadata=client.V1ObjectMeta(labels=selected(name)), spec=_job_spec(template, tries, seconds)
            ),
        ),
    )


def service(
    settings: Settings, name: str, ports: Mapping[str, int], *, pods: str | None = None, headless: bool = False
) -> V1Service:
    """Return a Service in front of ``pods`` (None: those called ``name``): each of ``ports`` leads to the pods' port of its name.

    A ``headless`` one gives each pod of a StatefulSet a name, also before it is ready.
    """
    from kubernetes import client

    return client.V1Service(
        api_version="v1",
        kind="Service",
        metadata=metadata(settings, name),
        spec=client.V1ServiceSpec(
            cluster_ip="None" if headless else None,
            publish_not_ready_addresses=headless or None,
            selector=selected(pods or name),
            ports=[client.V1ServicePort(name=key, port=port, target_port=key, protocol="TCP") for key, port in ports.items()],
        ),
    )


def config_map(settings: Settings, name: str, files: Mapping[str, str]) -> V1ConfigMap:
    """Return the ConfigMap ``name`` with the text of each of ``files``."""
    from kubernetes import client

    return client.V1ConfigMap(api_version="v1", kind="ConfigMap", metadata=metadata(settings, name), data=dict(files))


def disruption_budget(settings: Settings, name: str) -> V1PodDisruptionBudget:
    """Return the budget by which a drained node takes one pod of ``name`` at a time, and those that fail anyhow at once."""
    from kubernetes import client

    return client.V1PodDisruptionBudget(
        api_version="policy/v1",
        kind="PodDisruptionBudget",
        metadata=metadata(settings, name),
        spec=client.V1PodDisruptionBudgetSpec(
            max_unavailable=1,
            unhealthy_pod_eviction_policy="AlwaysAllow",
            selector=client.V1LabelSelector(match_labels=selected(name)),
        ),
    )


def _job_spec(template: V1PodTemplateSpec, tries: int, seconds: int | None, keep_seconds: int | None = None) -> V1JobSpec:
    from kubernetes import client

    template.spec.restart_policy = "Never"
    return client.V1JobSpec(
        backoff_limit=tries - 1, active_deadline_seconds=seconds, ttl_seconds_after_finished=keep_seconds, template=template
    )


def _claim_spec(size: str, storage_class: str | None, mode: str) -> V1PersistentVolumeClaimSpec:
    from kubernetes import client

    return client.V1PersistentVolumeClaimSpec(
        access_modes=[mode],
        storage_class_name=storage_class,
        resources=client.V1VolumeResourceRequirements(requests={"storage": size}),
    )


def _spread(name: str, spec: V1PodSpec, replicas: int | None) -> None:
    from kubernetes import client

    if replicas != 1:
        spec.topology_spread_constraints = [
            client.V1TopologySpreadConstraint(
                max_skew=1,
                topology_key="kubernetes.io/hostname",
                when_unsatisfiable="ScheduleAnyway",
                label_selector=client.V1LabelSelector(match_labels=selected(name)),
            )
        ]
