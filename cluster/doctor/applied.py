"""What of the platform is on the cluster, and what of that is not ready, with the reason that its pods give."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.apply.pod_troubles import Surroundings
from cluster.apply.readiness import lack
from cluster.apply.server import Server
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, skipped, warning
from cluster.doctor.pauses import is_stopped
from cluster.doctor.reading import ForbiddenError
from cluster.doctor.rights import untold
from cluster.part import NAMESPACE_LABEL, Object
from inference_services.object_metadata import LABELS

AREA = "applied"
ENOUGH_NAMED = 4


def check_applied(examination: Examination) -> Iterator[Finding]:
    """Yield for each part what is missing of it, and for each object that is there why it is not ready."""
    present: dict[str, list[Object]] = {}
    closed: dict[str, ForbiddenError] = {}
    for name, objects in examination.parts.items():
        present[name] = []
        for built in objects:
            try:
                present[name] += _live(examination, built)
            except ForbiddenError as error:
                closed[built["kind"]] = error
    yield from untold(AREA, closed.values())
    if not any(present.values()):
        yield warning(AREA, "everything", "nothing is applied yet", "cia cluster apply")
        return
    surroundings: dict[str, Surroundings] = {}
    for name, objects in examination.parts.items():
        open_to_us = [built for built in objects if built["kind"] not in closed]
        if open_to_us or not objects:
            yield _of_part(name, open_to_us, present[name])
        for live in present[name]:
            reason = lack(live)
            if reason is None or _is_told_elsewhere(examination, live):
                continue
            namespace = live["metadata"].get("namespace", examination.namespace)
            if namespace not in surroundings:
                surroundings[namespace] = Surroundings(Server(examination.connection), namespace)
            yield _not_ready(live, reason.why, surroundings[namespace].trouble(live))


def _of_part(name: str, objects: list[Object], present: list[Object]) -> Finding:
    if not objects:
        return skipped(AREA, name, "the settings make nothing of it")
    there = {_identity(live) for live in present}
    missing = [f"{built['kind']} {built['metadata']['name']}" for built in objects if _identity(built) not in there]
    if not missing:
        return ok(AREA, name, f"{len(objects)} of {len(objects)} objects are there")
    named = ", ".join(missing[:ENOUGH_NAMED]) + (
        f" and {len(missing) - ENOUGH_NAMED} more" if len(missing) > ENOUGH_NAMED else ""
    )
    return broken(
        AREA, name, f"{len(missing)} of {len(objects)} objects are not there: {named}", f"cia cluster apply --only {name}"
    )


def _is_told_elsewhere(examination: Examination, live: Object) -> bool:
    """Return whether the checks of storage or of pauses say why it is not ready."""
    if live["kind"] == "InferenceService":
        return is_stopped(examination, live["metadata"]["name"])
    return bool(live["kind"] == "PersistentVolumeClaim")


def _not_ready(live: Object, why: str, trouble: str) -> Finding:
    kind, name, namespace = live["kind"], live["metadata"]["name"], live["metadata"].get("namespace")
    where = f"-n {namespace} " if namespace else ""
    said = f"{why}: {trouble}" if trouble else why
    return broken(AREA, f"{kind} {name}", said, f"kubectl {where}describe {kind.lower()} {name}; kubectl {where}get pods")


def _live(examination: Examination, built: Object) -> list[Object]:
    """Return the object as it is on the server, in a list that is empty when it is not there."""
    kind = examination.reading.kind(built["apiVersion"], built["kind"])
    if kind is None:
        return []
    ours = ",".join(f"{key}={value}" for key, value in LABELS.items())
    for live in examination.reading.items(kind.path(built["metadata"].get("namespace")), labelSelector=ours):
        # The objects of a list do not say what they are.
        named = {**live, "apiVersion": built["apiVersion"], "kind": built["kind"]}
        owner = live["metadata"]["labels"].get(NAMESPACE_LABEL, examination.namespace)
        if _identity(named) == _identity(built) and owner == examination.namespace:
            return [named]
    return []


def _identity(built: Object) -> tuple[str, str, str, str]:
    metadata = built["metadata"]
    return built["apiVersion"], built["kind"], metadata.get("namespace") or "", metadata["name"]
