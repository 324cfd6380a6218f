"""What the steps of a run on Kubeflow say, read from the logs of their pods as they say it."""

from __future__ import annotations

import contextlib
from typing import Any

from components.step import read_event
from runtimes.pod_logs import PodLogs

CONTAINER = "main"
"""Argo's name for the container in which a step works."""


class StepLogs:
    """Announcements of the steps of ``run``. ``api`` is a client of the Kubernetes core API."""

    def __init__(self, api: Any, namespace: str, run: str) -> None:
        self._api, self._namespace = api, namespace
        self._selector = f"pipeline/runid={run},app.kubernetes.io/part-of=code-assistant"
        self._logs = PodLogs(api, namespace, CONTAINER)

    def __call__(self) -> list[dict[str, Any]]:
        """Return what has been announced since the last call. An API that does not answer has nothing to say."""
        with contextlib.suppress(Exception):  # the client's own and urllib3's: the run's states are told without it
            self._logs.follow(self._api.list_namespaced_pod(self._namespace, label_selector=self._selector).items)
        return [event for line in self._logs.lines() if (event := read_event(line))]
