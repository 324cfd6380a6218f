"""What a TrainJob's pods tell: why nothing runs yet, and how the last of them ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtimes.training_runtime import GPU, WORKER

WARNINGS_TOLD = 3
KILLED = 137
"""Exit code of a process that SIGKILL ended."""


def waits_for(pods: Sequence[Any], warnings: Sequence[str]) -> str:
    """Return what keeps a job from starting, "" when its newest pod has started."""
    if not pods:
        return f"waits for its pod: {warnings[-1]}" if warnings else "waits for its pod"
    pod = pods[-1]
    if pod.status.phase != "Pending":
        return ""
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"waits for {_wanted(pod, condition.message or '')}: {condition.message or condition.reason}"
    for container in pod.status.container_statuses or []:
        waiting = container.state.waiting if container.state else None
        if waiting and waiting.message:
            return f"its pod does not start: {waiting.reason}: {waiting.message}"
    return "its pod is starting"


def waits_for_gpu(pods: Sequence[Any]) -> bool:
    """Return whether the newest pod has no node because no node has the GPU slices that it asks for."""
    return bool(pods) and pods[-1].status.phase == "Pending" and f"Insufficient {GPU}" in waits_for(pods, ())


def how_it_ended(pods: Sequence[Any], warnings: Sequence[str]) -> str:
    """Return how the newest pod that ended did, and the cluster's last warnings; "" when there is nothing to tell."""
    ended = [pod for pod in pods if pod.status.phase == "Failed"]
    told = [_end_of_pod(ended[-1])] if ended else []
    if warnings:
        told.append(f"the cluster warned: {' | '.join(warnings[-WARNINGS_TOLD:])}")
    return "; ".join(told)


def _end_of_pod(pod: Any) -> str:
    name = pod.metadata.name
    if pod.status.reason:  # Evicted, Preempting, NodeLost: the pod as a whole
        return f"its pod {name} ended: {pod.status.reason}: {pod.status.message or ''}".rstrip(": ")
    for container in pod.status.container_statuses or []:
        ended = container.state.terminated if container.state else None
        if ended is None:
            continue
        if ended.reason == "OOMKilled":
            return (
                f"its pod {name} took more memory than its limit (OOMKilled); "
                "raise cluster.train_job.compute.memory or lower training.max_tokens"
            )
        why = "" if ended.reason in (None, "Error") else f" ({ended.reason})"
        return (
            f"its pod {name} was killed{why}"
            if ended.exit_code == KILLED
            else f"its pod {name} exited with {ended.exit_code}{why}"
        )
    return f"its pod {name} failed"


def _wanted(pod: Any, message: str) -> str:
    """What the pod asks for, when that is what the scheduler lacks."""
    if GPU not in message:
        return "a node"
    worker = next((container for container in pod.spec.containers if container.name == WORKER), pod.spec.containers[0])
    return f"{(worker.resources.limits or {}).get(GPU, 'some')} {GPU}"
