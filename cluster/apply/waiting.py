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
    look = _Look(server, [built for built in applied if built["kind"] in LACKS])
    deadline = time.monotonic() + seconds
    try:
        look.begin()
        while True:
            pending = look.pending()
            show(pending)
            left = deadline - time.monotonic()
            if all(one.final for one in pending) or left <= 0:
                return pending
            look.changed.wait(min(LOOK_SECONDS, left))
    finally:
        look.end()


class _Look:
    """Watches the kinds of the objects that are waited for, and looks at pods and events now and then."""

    def __init__(self, server: Server, waited: list[Object]) -> None:
        self.changed = threading.Event()
        self._server, self._waited = server, waited
        self._watched = {_place(built): Watched(server, *_place(built), self.changed) for built in waited}
        self._around: dict[str, Surroundings] = {}
        self._looked = 0.0

    def begin(self) -> None:
        for watch in self._watched.values():
            watch.start()
        patience = time.monotonic() + LOOK_SECONDS
        for watch in self._watched.values():
            watch.listed.wait(max(0.0, patience - time.monotonic()))

    def end(self) -> None:
        for watch in self._watched.values():
            watch.stop()

    def pending(self) -> list[Pending]:
        """Return what is not ready now and why."""
        self.changed.clear()
        lacking = [(built, reason) for built in self._waited if (reason := self._lack(built))]
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            namespaces = dict.fromkeys(built["metadata"].get("namespace") for built, _ in lacking)
            self._around = {namespace: Surroundings(self._server, namespace) for namespace in namespaces if namespace}
            self._looked = time.monotonic()
        return [one for built, reason in lacking if (one := self._explained(built, reason))]

    def _live(self, built: Object) -> Object | None:
        metadata = built["metadata"]
        return self._watched[_place(built)].objects.get((metadata.get("namespace"), metadata["name"]))

    def _lack(self, built: Object) -> Lack | None:
        watch, live = self._watched[_place(built)], self._live(built)
        if watch.trouble or not watch.listed.is_set():
            return Lack(watch.trouble or "not looked at yet")
        return lack(live) if live else Lack("is no longer there: something deleted it")

    def _explained(self, built: Object, reason: Lack) -> Pending | None:
        metadata, live, why = built["metadata"], self._live(built), reason.why
        around = self._around.get(metadata.get("namespace") or "")
        if around and live:
            if live["kind"] == "PersistentVolumeClaim" and around.waits_for_its_first_pod(live):
                return None
            if trouble := around.trouble(live):
                why = f"{why}: {trouble}"
        return Pending(metadata.get("labels", {}).get(PART_LABEL, ""), built["kind"], metadata["name"], why, reason.final)


def _place(built: Object) -> tuple[Kind, str | None]:
    return (built["apiVersion"], built["kind"]), built["metadata"].get("namespace")
