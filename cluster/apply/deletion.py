"""Takes an installation off a cluster: what can be applied again at once, what holds data only when asked."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable

from cia.errors import OperationError
from cia.settings import Settings
from cluster.apply.ownership import LASTING, owned
from cluster.apply.planning import MADE_HERE
from cluster.apply.server import Server
from cluster.part import PART_LABEL, Object
from cluster.platform import PARTS

LOOK_SECONDS = 1.0

HELD_AS = {
    "kubernetes.io/pvc-protection": "a pod that still uses it",
    "foregroundDeletion": "what it owns, which has not gone",
}
"""What a finalizer of Kubernetes itself stands for."""


def deletable(
    server: Server, settings: Settings, rendered: Iterable[Object], only: Collection[str] = (), *, volumes: bool = False
) -> tuple[list[Object], list[Object]]:
    """Return what a deletion takes, in its order, the last part first; and what it spares, as that cannot be applied again.

    Volumes, the secret and a namespace that this made go only with ``volumes``; a namespace that was there before never does.
    """
    rendered = list(rendered)
    there = owned(server, settings, rendered, only)
    going = _last_first([live for live in there if live["kind"] not in LASTING])
    lasting = [live for live in there if live["kind"] in LASTING]
    lasting += _claims_of_stateful_sets(server, settings, [*rendered, *there], lasting)
    lasting.sort(key=lambda live: live["kind"] == "Namespace")  # last, as everything in it goes with it
    if not volumes:
        return going, lasting
    theirs = [
        live for live in lasting if live["kind"] == "Namespace" and MADE_HERE not in (live["metadata"].get("annotations") or {})
    ]
    return [*going, *(live for live in lasting if live not in theirs)], theirs


def delete(server: Server, going: Iterable[Object], *, dry_run: bool = False, seconds: float = 300.0) -> None:
    """Delete the objects in their order, then wait until they are gone.

    Raises CiaError at the first that the server does not delete, and OperationError for what is still there after ``seconds``,
    with the finalizers that hold it.
    """
    going = list(going)
    for live in going:
        server.delete(live, dry_run=dry_run)
    deadline = time.monotonic() + seconds
    while not dry_run and (going := [live for live in going if _is_still_there(server, live)]):
        if time.monotonic() > deadline:
            raise OperationError(f"still being deleted after {seconds:.0f} s: {'; '.join(_held(server, live) for live in going)}")
        time.sleep(LOOK_SECONDS)


def _last_first(there: list[Object]) -> list[Object]:
    order = {part.name: position for position, part in enumerate(PARTS)}
    return sorted(there, key=lambda live: -order.get(live["metadata"]["labels"][PART_LABEL], len(order)))


def _claims_of_stateful_sets(server: Server, settings: Settings, objects: Iterable[Object], known: list[Object]) -> list[Object]:
    """Return the volumes that StatefulSets had made: they carry only the labels of their templates, and outlive their owner."""
    names = [
        re.compile(f"{re.escape(claim['metadata']['name'])}-{re.escape(built['metadata']['name'])}-[0-9]+")
        for built in objects
        if built["kind"] == "StatefulSet"
        for claim in built["spec"].get("volumeClaimTemplates") or []
    ]
    if not names:
        return []
    have = {live["metadata"]["uid"] for live in known}
    claims = server.objects("v1", "PersistentVolumeClaim", settings.cluster.namespace)
    return [
        claim
        for claim in claims
        if claim["metadata"]["uid"] not in have and any(name.fullmatch(claim["metadata"]["name"]) for name in names)
    ]


def _is_still_there(server: Server, live: Object) -> bool:
    now = server.live(live)
    return now is not None and now["metadata"]["uid"] == live["metadata"]["uid"]


def _held(server: Server, live: Object) -> str:
    metadata = (server.live(live) or live)["metadata"]
    holders = [HELD_AS.get(one, f"{one}, whose controller has to run") for one in metadata.get("finalizers") or []]
    if live["kind"] == "Namespace":
        holders = ["what is left in it: `kubectl describe namespace` tells"]
    return f"{live['kind']} {metadata['name']} (held by {' and '.join(holders) or 'its pods, which have not ended'})"
