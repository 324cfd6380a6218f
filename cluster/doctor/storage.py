"""Storage classes, what they can do, and the volume claims that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cluster.doctor.events import last_event
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from cluster.part import Object

AREA = "storage"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFAULT = "storageclass.kubernetes.io/is-default-class"

SHARED = (
    "nfs", "efs.csi.aws.com", "fsx.csi.aws.com", "file.csi.azure.com", "filestore.csi.storage.gke.io", "cephfs.csi.ceph.com",
    "driver.longhorn.io", "csi.juicefs.com", "beegfs.csi.netapp.com", "csi.trident.netapp.io", "csi.weka.io", "glusterfs",
    "lustre.csi", "smb.csi.k8s.io", "azurelustre.csi.azure.com", "spectrumscale.csi.ibm.com", "pxd.portworx.com",
)  # fmt: skip
"""In the names of provisioners whose volumes many nodes can write, by their documentation."""

OF_ONE_NODE = (
    "ebs.csi.aws.com", "disk.csi.azure.com", "pd.csi.storage.gke.io", "rbd.csi.ceph.com", "rancher.io/local-path", "topolvm",
    "kubernetes.io/no-provisioner", "local.csi.openebs.io", "openebs.io/local", "cinder.csi.openstack.org", "hostpath",
    "csi.vsphere.vmware.com", "dobs.csi.digitalocean.com", "csi.hetzner.cloud",
)  # fmt: skip
"""In the names of those whose volumes one node has at a time."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that is applied, or that a StatefulSet makes. ``storage_class`` None: the cluster's default."""

    name: str
    storage_class: str | None
    shared: bool


def check_classes(examination: Examination) -> Iterator[Finding]:
    """Yield whether each storage class that is asked for is there, and does what is asked of it."""
    claims = _claims(examination)
    if not claims:
        return
    classes = {one["metadata"]["name"]: one for one in examination.reading.items(CLASSES)}
    default = next((name for name, one in classes.items() if _is_default(one)), None)
    for wanted, shared in sorted({(claim.storage_class or "", claim.shared) for claim in claims}):
        setting = "cluster.shared_storage_class" if shared else "cluster.storage_class"
        there = (
            f"one of {', '.join(sorted(classes))}" if classes else "a storage class; the cluster has none: install a provisioner"
        )
        if not wanted and default is None:
            yield broken(AREA, "the default class", "the cluster has no default storage class", f"set {setting} to {there}")
        elif (wanted or default) not in classes:
            yield broken(AREA, wanted, f"the cluster has no storage class {wanted}", f"set {setting} to {there}")
        else:
            yield _of_class(classes[wanted or str(default)], shared, is_default=not wanted)


def _of_class(storage_class: Object, shared: bool, *, is_default: bool) -> Finding:
    name, provisioner = storage_class["metadata"]["name"], str(storage_class.get("provisioner"))
    subject = f"{name} (default)" if is_default else name
    if not shared:
        return ok(AREA, subject, f"volumes of one pod each, by {provisioner}")
    fix = "set cluster.shared_storage_class to one of NFS, CephFS, EFS, Filestore, Azure Files or the like (ReadWriteMany)"
    if any(part in provisioner for part in SHARED):
        return ok(AREA, f"{subject}, shared", f"{provisioner} lets many nodes write")
    if any(part in provisioner for part in OF_ONE_NODE):
        return broken(AREA, f"{subject}, shared", f"the volumes of {provisioner} are one node's at a time", fix)
    return warning(AREA, f"{subject}, shared", f"it cannot be told whether {provisioner} lets many nodes write a volume", fix)


def check_claims(examination: Examination) -> Iterator[Finding]:
    """Yield the claims that are there without a volume, and why."""
    wanted = {claim.name for claim in _claims(examination)}
    path = f"/api/v1/namespaces/{examination.namespace}/persistentvolumeclaims"
    present = [one for one in examination.reading.items(path) if one["metadata"]["name"] in wanted]
    bound = [one for one in present if (one.get("status") or {}).get("phase") == "Bound"]
    if bound:
        yield ok(AREA, "volumes", f"{len(bound)} of {len(wanted)} claims have theirs")
    for claim in present:
        if claim in bound:
            continue
        name, phase = claim["metadata"]["name"], (claim.get("status") or {}).get("phase", "Pending")
        event = last_event(examination.reading, examination.namespace, "PersistentVolumeClaim", name)
        fix = f"kubectl -n {examination.namespace} describe pvc {name}"
        if event and event.reason == "WaitForFirstConsumer":
            yield warning(AREA, name, "gets its volume with its first pod, which has no node yet", fix)
        else:
            yield broken(AREA, name, f"is {phase}: {event.message if event else 'no provisioner has said anything'}", fix)


def _is_default(storage_class: Object) -> bool:
    return (storage_class["metadata"].get("annotations") or {}).get(DEFAULT) == "true"


def _claims(examination: Examination) -> list[Claim]:
    claims = [_claim(built["metadata"]["name"], built) for built in examination.of_kind("PersistentVolumeClaim")]
    for built in examination.of_kind("StatefulSet"):
        for template in built["spec"].get("volumeClaimTemplates") or []:
            claims += [
                _claim(f"{template['metadata']['name']}-{built['metadata']['name']}-{ordinal}", template)
                for ordinal in range(built["spec"].get("replicas", 1))
            ]
    return claims


def _claim(name: str, built: Object) -> Claim:
    spec = built["spec"]
    return Claim(name, spec.get("storageClassName"), "ReadWriteMany" in spec["accessModes"])
