"""What each kind has to say before it counts as ready, read from its status alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.part import Object


@dataclass(frozen=True, slots=True)
class Lack:
    """Why an object is not ready, and whether that is ``final``: more waiting does not help."""

    why: str
    final: bool = False


def lack(live: Object) -> Lack | None:
    """Return what keeps ``live`` from being ready, None when nothing does or its kind is ready as soon as it is there."""
    if "deletionTimestamp" in live["metadata"]:
        return Lack("is being deleted")
    of_kind = LACKS.get(live["kind"])
    return of_kind(live) if of_kind else None


def conditions(live: Object) -> dict[str, dict[str, Any]]:
    """Return the conditions of an object by their type."""
    return {condition["type"]: condition for condition in (live.get("status") or {}).get("conditions") or []}


def told(condition: dict[str, Any]) -> str:
    """Return a condition in words: its message, else its reason, else its type."""
    reason, message = condition.get("reason") or "", condition.get("message") or ""
    return f"{reason}: {message}" if reason and message else message or reason or condition["type"]


def _deployment(live: Object) -> Lack | None:
    wanted, status = live["spec"].get("replicas", 1), live.get("status") or {}
    if _unseen(live):
        return Lack("has not been looked at by its controller yet")
    if failed := next((told(one) for one in conditions(live).values() if one["type"] == "ReplicaFailure"), None):
        return Lack(failed)
    if status.get("updatedReplicas", 0) < wanted:
        return Lack(f"{status.get('updatedReplicas', 0)} of {wanted} pods are of the new version")
    if status.get("replicas", 0) > status.get("updatedReplicas", 0):
        return Lack(f"{status['replicas'] - status['updatedReplicas']} pods of the old version still run")
    return _counted(status.get("availableReplicas", 0), wanted)


def _stateful_set(live: Object) -> Lack | None:
    wanted, status = live["spec"].get("replicas", 1), live.get("status") or {}
    if _unseen(live):
        return Lack("has not been looked at by its controller yet")
    on_delete = (live["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
    if (
        not on_delete
        and status.get("updatedReplicas", 0) < wanted
        and status.get("currentRevision") != status.get("updateRevision")
    ):
        return Lack(f"{status.get('updatedReplicas', 0)} of {wanted} pods are of the new version")
    return _counted(status.get("readyReplicas", 0), wanted)


def _daemon_set(live: Object) -> Lack | None:
    status = live.get("status") or {}
    if _unseen(live):
        return Lack("has not been looked at by its controller yet")
    wanted = status.get("desiredNumberScheduled", 0)
    return _counted(min(status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)), wanted)


def _job(live: Object) -> Lack | None:
    of_type = conditions(live)
    if _holds(of_type, "Complete"):
        return None
    if _holds(of_type, "Failed"):
        return Lack(told(of_type["Failed"]), final=True)
    return Lack("is suspended") if live["spec"].get("suspend") else Lack("has not completed yet")


def _claim(live: Object) -> Lack | None:
    phase = (live.get("status") or {}).get("phase", "Pending")
    if phase == "Bound":
        return None
    return Lack("its volume is lost", final=True) if phase == "Lost" else Lack("no volume is bound to it")


def _inference_service(live: Object) -> Lack | None:
    of_type = conditions(live)
    if not _unseen(live) and _holds(of_type, "Ready"):
        return None
    wrong = [f"{one['type']}: {told(one)}" for one in of_type.values() if one.get("status") == "False" and one["type"] != "Ready"]
    return Lack("; ".join(wrong) or "KServe has said nothing about it yet")


def _namespace(live: Object) -> Lack | None:
    phase = (live.get("status") or {}).get("phase")
    return None if phase == "Active" else Lack(f"is {phase or 'not active yet'}")


LACKS: dict[str, Callable[[Object], Lack | None]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "PersistentVolumeClaim": _claim,
    "InferenceService": _inference_service,
    "Namespace": _namespace,
}


def _unseen(live: Object) -> bool:
    """Return whether the status speaks of an earlier version. Knative's and KServe's status may lack the number."""
    status = live.get("status") or {}
    seen = status.get("observedGeneration", 0 if live["kind"] != "InferenceService" else live["metadata"].get("generation", 0))
    return bool(seen < live["metadata"].get("generation", 0))


def _counted(ready: int, wanted: int) -> Lack | None:
    return None if ready >= wanted else Lack(f"{ready} of {wanted} pods are ready")


def _holds(of_type: dict[str, dict[str, Any]], name: str) -> bool:
    return of_type.get(name, {}).get("status") == "True"
