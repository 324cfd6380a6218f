"""Which objects of a cluster are this installation's: by label, never by name, and never what a controller made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cia.errors import AccessError
from cia.settings import Settings
from cluster.apply.server import Server
from cluster.part import NAMESPACE_LABEL, PART_LABEL, Object, Part
from inference_services.object_metadata import LABELS

Kind = tuple[str, str]
"""An API version and a kind."""

LASTING = frozenset({"PersistentVolumeClaim", "Secret", "Namespace"})
"""Kinds that hold what cannot be rendered again. They are never pruned, and deleted only together with the volumes."""

KINDS: tuple[Kind, ...] = (
    ("v1", "ConfigMap"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("serving.kserve.io/v1beta1", "InferenceService"),
    ("trainer.kubeflow.org/v1alpha1", "ClusterTrainingRuntime"),
)
"""What any settings may have had applied. What is rendered now is looked for beside these."""


def owned(server: Server, settings: Settings, rendered: Iterable[Object] = (), only: Collection[str] = ()) -> list[Object]:
    """Return the installation's objects that are on the server, of the parts named in ``only`` or of all.

    Kinds that the server lacks have none. Kinds that may not be listed are remarked on in ``server.warnings``.
    """
    rendered = list(rendered)
    kinds = dict.fromkeys([*KINDS, *((built["apiVersion"], built["kind"]) for built in rendered)])
    abroad = {built["metadata"].get("namespace") for built in rendered} - {None, settings.cluster.namespace}
    found: list[Object] = []
    unseen: list[str] = []
    for api_version, kind in kinds:
        if server.knows(api_version, kind):
            try:
                found += _of_kind(server, settings, api_version, kind, sorted(abroad))
            except AccessError:
                unseen.append(kind)
    if unseen:
        server.warnings.append(f"what is left of {', '.join(unseen)} is not seen: you may not list them")
    return [live for live in found if not only or live["metadata"]["labels"][PART_LABEL] in only]


def prunable(live: Iterable[Object], parts: Iterable[tuple[Part, list[Object]]]) -> list[Object]:
    """Return those of ``live`` that ``parts`` no longer render, without what lasts and what is already going."""
    rendered = {identity(built) for _, objects in parts for built in objects}
    return [
        there
        for there in live
        if identity(there) not in rendered and there["kind"] not in LASTING and "deletionTimestamp" not in there["metadata"]
    ]


def identity(built: Object) -> tuple[str, str, str | None, str]:
    """Return what makes an object the same one: its group, kind, namespace and name."""
    group = built["apiVersion"].rpartition("/")[0]
    return group, built["kind"], built["metadata"].get("namespace"), built["metadata"]["name"]


def _of_kind(server: Server, settings: Settings, api_version: str, kind: str, abroad: list[str]) -> list[Object]:
    mine = ",".join(f"{key}={value}" for key, value in LABELS.items()) + f",{PART_LABEL}"
    outside = f"{mine},{NAMESPACE_LABEL}={settings.cluster.namespace}"
    if server.is_namespaced(api_version, kind):
        listed = server.objects(api_version, kind, settings.cluster.namespace, mine)
        listed += _in_other_namespaces(server, api_version, kind, outside, abroad)
    else:
        listed = server.objects(api_version, kind, None, outside)
    # KServe hands an InferenceService's labels on to what it makes of it; that goes when its owner goes.
    return [live for live in listed if not live["metadata"].get("ownerReferences")]


def _in_other_namespaces(server: Server, api_version: str, kind: str, selector: str, abroad: list[str]) -> list[Object]:
    try:
        return server.objects(api_version, kind, None, selector)
    except AccessError:  # not all namespaces may be looked through: those that are written to now
        return [live for namespace in abroad for live in server.objects(api_version, kind, namespace, selector)]
