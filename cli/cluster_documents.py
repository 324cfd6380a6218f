"""What ``cia cluster --json`` prints, piece by piece."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.cluster_display import Shown
    from cluster.apply.planning import Refusal
    from cluster.apply.server import Server
    from cluster.apply.waiting import Pending
    from cluster.doctor import Finding
    from cluster.part import Object
    from cluster.secrets import SecretReport


def named_as_json(built: Object) -> dict[str, Any]:
    """Return which object it is."""
    metadata = built["metadata"]
    return {"kind": built["kind"], "name": metadata["name"], "namespace": metadata.get("namespace")}


def outcome_as_json(part: str, outcome: str, built: Object) -> dict[str, Any]:
    """Return what became of an object."""
    return {"part": part, **named_as_json(built), "outcome": outcome}


def secret_as_json(report: SecretReport) -> dict[str, Any]:
    """Return which keys were made and which a person has to give."""
    return {"made": list(report.made), "missing": [key.key for key in report.missing]}


def pending_as_json(pending: Pending) -> dict[str, Any]:
    """Return what is not ready and why."""
    return {"part": pending.part, "kind": pending.kind, "name": pending.name, "why": pending.why, "final": pending.final}


def refusal_as_json(refusal: Refusal) -> dict[str, Any]:
    """Return what is refused and why."""
    return {"part": refusal.part, **named_as_json(refusal.built), "why": str(refusal.error)}


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """Return a line of the doctor's table."""
    return dataclasses.asdict(finding)


def differences_as_json(
    server: Server, shown: Sequence[Shown], refusals: Sequence[Refusal], left: Sequence[Object]
) -> dict[str, Any]:
    """Return every difference, what is refused and what is there but no longer made."""
    return {
        "context": server.context,
        "objects": [
            outcome_as_json(one.change.part, one.change.outcome, one.change.built)
            | {"held_by": one.change.conflict.fields if one.change.conflict else {}}
            | {"differences": [{"path": found.path, "lines": list(found.lines)} for found in one.differences]}
            for one in shown
        ],
        "refused": [refusal_as_json(one) for one in refusals],
        "no_longer_made": [named_as_json(live) for live in left],
    }
