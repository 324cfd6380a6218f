"""This installation's objects of one kind as they are on the server: listed, watched, and listed again when a watch ends."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

from cia.errors import CiaError
from cluster.apply.server import Server
from cluster.part import Object
from inference_services.object_metadata import LABELS

if TYPE_CHECKING:
    from cluster.apply.ownership import Kind

AGAIN_SECONDS = 1.0
"""After a watch that ended, so that a server that ends each at once is not asked all the time."""

MINE = ",".join(f"{key}={value}" for key, value in LABELS.items())

Place = tuple[str | None, str]
"""Namespace and name."""


class Watched(threading.Thread):
    """``objects`` holds what the server has, by namespace and name; ``changed`` is set whenever that changes.

    A watch breaks when the server forgets the version that it began at (410 Gone), when it restarts, and when a proxy between
    cuts it: each time the thread lists anew and goes on. `stop` ends it at the next event or after ``WATCH_SECONDS``.
    """

    def __init__(self, server: Server, kind: Kind, namespace: str | None, changed: threading.Event) -> None:
        super().__init__(name=f"watch {kind[1]}", daemon=True)
        self.objects: dict[Place, Object] = {}
        self.trouble = ""
        """Why the server cannot be asked at the moment, empty while it can."""
        self.listed = threading.Event()
        """Set once ``objects`` holds what the server had at least once."""
        self._server, self._kind, self._namespace, self._changed = server, kind, namespace, changed
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        while not self._stopped.is_set():
            try:
                self._follow(self._list())
            except CiaError as error:
                self.trouble = str(error)
                self._changed.set()
            except (ApiException, HTTPError, ValueError, OSError):  # broken off, half a line, or 410 Gone: list again
                pass
            self._stopped.wait(AGAIN_SECONDS * (0.5 + random.random()))

    def _list(self) -> str:
        api_version, kind = self._kind
        items, version = self._server.listed(api_version, kind, self._namespace, MINE)
        self.objects = {_place(item): item for item in items}
        self.trouble = ""
        self.listed.set()
        self._changed.set()
        return version

    def _follow(self, version: str) -> None:
        api_version, kind = self._kind
        for event in self._server.watch(api_version, kind, self._namespace, MINE, version):
            if self._stopped.is_set() or event["type"] == "ERROR":
                return
            live = event["object"]
            self.objects = {**self.objects, _place(live): live}
            if event["type"] == "DELETED":
                self.objects = {place: other for place, other in self.objects.items() if place != _place(live)}
            self._changed.set()


def _place(live: Object) -> Place:
    return live["metadata"].get("namespace"), live["metadata"]["name"]
