"""Why pods do not run, from what the scheduler, the kubelet and the pods themselves have said."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from cia.errors import AccessError, CiaError
from cluster.apply.readiness import conditions, told
from cluster.apply.server import Server
from cluster.part import Object

LONGEST = 300
"""Characters of an explanation."""

CLAIM = "PersistentVolumeClaim"

NORMAL_WAITS = ("ContainerCreating", "PodInitializing")


class Surroundings:
    """The pods and events of a namespace at one moment, from which an object's trouble is told."""

    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._pods: list[Object] = []
        self._events: dict[tuple[str, str], list[Object]] = defaultdict(list)
        try:
            self._pods = server.objects("v1", "Pod", namespace)
            for event in sorted(server.objects("v1", "Event", namespace), key=_when):
                about = event.get("involvedObject") or {}
                self._events[about.get("kind", ""), about.get("name", "")].append(event)
        except CiaError as error:  # the objects themselves are still watched; they only go unexplained
            if isinstance(error, AccessError) and str(error) not in server.warnings:
                server.warnings.append(str(error))

    def trouble(self, live: Object) -> str:
        """Return why ``live`` is not ready as far as its pods and events tell, an empty text where they say nothing."""
        kind, name = live["kind"], live["metadata"]["name"]
        pods = [pod for pod in self._pods if _is_of(pod, live)]
        troubles = dict.fromkeys(trouble for pod in pods if (trouble := self._of_pod(pod)))
        if not troubles:
            last = self._events[kind, name][-1:]
            # What keeps a claim unbound is no warning to Kubernetes.
            troubles = dict.fromkeys(_event_words(one) for one in last if one.get("type") == "Warning" or kind == CLAIM)
        words = "; ".join(troubles)
        return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"

    def waits_for_its_first_pod(self, claim: Object) -> bool:
        """Return whether a claim is unbound only because its class binds when the first pod uses it."""
        last = self._events[CLAIM, claim["metadata"]["name"]][-1:]
        return bool(last) and last[0].get("reason") == "WaitForFirstConsumer"

    def _of_pod(self, pod: Object) -> str:
        name, status = pod["metadata"]["name"], pod.get("status") or {}
        if "deletionTimestamp" in pod["metadata"]:
            return f"{name}: is ending"
        if status.get("phase") == "Succeeded" or conditions(pod).get("Ready", {}).get("status") == "True":
            return ""
        scheduled = conditions(pod).get("PodScheduled", {})
        if scheduled.get("status") == "False":
            return f"{scheduled.get('reason') or 'Unschedulable'}: {scheduled.get('message', '')}"
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            if trouble := self._of_container(pod, container):
                return f"{name}: {trouble}"
        if remark := next(
            (_event_words(event) for event in reversed(self._events["Pod", name]) if event.get("type") == "Warning"), ""
        ):
            return f"{name}: {remark}"
        if status.get("phase") == "Failed":
            return f"{name}: {told({'type': 'failed', **status})}"
        return f"{name}: starting" if "containerStatuses" in status else f"{name}: its node has not started it yet"

    def _of_container(self, pod: Object, container: dict[str, Any]) -> str:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason") and waiting["reason"] not in NORMAL_WAITS:
            cause = told({"type": "waiting", **waiting})
            return f"{cause}{self._last_words(pod, container)}" if waiting["reason"] == "CrashLoopBackOff" else cause
        if ended.get("exitCode"):
            return f"{ended.get('reason') or 'Error'}, exit code {ended['exitCode']}{self._last_words(pod, container)}"
        return ""

    def _last_words(self, pod: Object, container: dict[str, Any]) -> str:
        ended = (container.get("lastState") or {}).get("terminated") or {}
        why = f" ({ended.get('reason', 'Error')}, exit code {ended['exitCode']})" if ended else ""
        metadata = pod["metadata"]
        lines = self._server.log(metadata["namespace"], metadata["name"], container["name"], previous=bool(ended))
        return f"{why}; its last lines: {' | '.join(lines.splitlines())}" if lines else why


def _is_of(pod: Object, live: Object) -> bool:
    labels, name = pod["metadata"].get("labels") or {}, live["metadata"]["name"]
    if live["kind"] == "InferenceService":
        return labels.get("serving.kserve.io/inferenceservice") == name
    if live["kind"] == "Job":
        return labels.get("batch.kubernetes.io/job-name", labels.get("job-name")) == name
    if live["kind"] == CLAIM:
        return False
    wanted = ((live.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def _event_words(event: Object) -> str:
    return told({"type": "event", **event})


def _when(event: Object) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
