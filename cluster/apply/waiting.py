"""Waits until everything that was applied is ready, and tells at any moment what is not and why."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cluster.apply.ownership import Kind
from cluster.apply.pod_troubles import Surroundings
from cluster.apply.readiness import LACKS, Lack, lack
from cluster.apply.server import Server
from cluster.apply.watching import Watched
from cluster.part import PART_LABEL, Object

LOOK_SECONDS = 3.0
"""Pods and events are looked at this often: they say why, the objects themselves say whether."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An object that is not ready. ``final``: more waiting does not help."""

    part: str
    kind: str
    name: str
    why: str
    final: bool = False


def wait(
    server: Server, applied: Iterable[Object], seconds: float, show: Callable[[list[Pending]], None] = lambda _: None
) -> list[Pending]:
    """Return what of ``applied`` is still not ready after ``seconds``, or once nothing that is pending can become so.

    ``show`` gets what is pending whenever that may have changed. A watch that breaks is begun anew.
    """
    waited = [built for built in applied if built["kind"] in LACKS]
    changed = threading.Event()
    places: set[tuple[Kind, str | None]] = {
        ((built["apiVersion"], built["kind"]), built["metadata"].get("namespace")) for built in waited
    }
    watched = {place: Watched(server, *place, changed) for place in sorted(places, key=str)}
    for watch in watched.values():
        watch.start()
    try:
        began = time.monotonic()
        for watch in watched.values():
            watch.listed.wait(max(0.0, began + LOOK_SECONDS - time.monotonic()))
        return _until_ready(server, waited, watched, changed, began + seconds, show)
    finally:
        for watch in watched.values():
            watch.stop()


def _until_ready(
    server: Server,
    waited: list[Object],
    watched: dict[tuple[Kind, str | None], Watched],
    changed: threading.Event,
    deadline: float,
    show: Callable[[list[Pending]], None],
) -> list[Pending]:
    surroundings: dict[str, Surroundings] = {}
    looked = 0.0
    while True:
        changed.clear()
        if surroundings_are_old := time.monotonic() - looked >= LOOK_SECONDS:
            looked = time.monotonic()
        lacking = [
            (built, live, reason) for built in waited if (reason := _lack(watched, built)) for live in [_live(watched, built)]
        ]
        if surroundings_are_old and lacking:
            namespaces = dict.fromkeys(built["metadata"].get("namespace") for built, _, _ in lacking)
            surroundings = {namespace: Surroundings(server, namespace) for namespace in namespaces if namespace}
        pending = [one for found in lacking if (one := _explained(*found, surroundings))]
        show(pending)
        left = deadline - time.monotonic()
        if all(one.final for one in pending) or left <= 0:
            return pending
        changed.wait(min(LOOK_SECONDS, left))


def _live(watched: dict[tuple[Kind, str | None], Watched], built: Object) -> Object | None:
    namespace = built["metadata"].get("namespace")
    watch = watched[(built["apiVersion"], built["kind"]), namespace]
    return watch.objects.get((namespace, built["metadata"]["name"]))


def _lack(watched: dict[tuple[Kind, str | None], Watched], built: Object) -> Lack | None:
    watch = watched[(built["apiVersion"], built["kind"]), built["metadata"].get("namespace")]
    live = _live(watched, built)
    if watch.trouble or not watch.listed.is_set():
        return Lack(watch.trouble or "not looked at yet")
    return lack(live) if live else Lack("is no longer there: something deleted it")


def _explained(built: Object, live: Object | None, reason: Lack, surroundings: dict[str, Surroundings]) -> Pending | None:
    around = surroundings.get(built["metadata"].get("namespace") or "")
    why = reason.why
    if around and live:
        if live["kind"] == "PersistentVolumeClaim" and around.waits_for_its_first_pod(live):
            return None
        if trouble := around.trouble(live):
            why = f"{why}: {trouble}"
    part = built["metadata"].get("labels", {}).get(PART_LABEL, "")
    return Pending(part, built["kind"], built["metadata"]["name"], why, reason.final)
