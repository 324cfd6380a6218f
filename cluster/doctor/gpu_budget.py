"""Whether all that wants slices of a GPU finds a place at the same time, and a training beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, skipped
from cluster.doctor.gpu_nodes import asks_for_gpus, gpu_nodes
from cluster.doctor.workloads import Workload, workloads
from cluster.part import Object
from inference_services.object_metadata import LABELS
from runtimes.training_runtime import GPU

AREA = "GPU budget"
PAUSED = "code-assistant"
"""The InferenceService that makes room while a TrainJob runs."""

FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Wish:
    """A pod that wants ``slices`` on one node."""

    name: str
    slices: int


def check_gpu_budget(examination: Examination) -> Iterator[Finding]:
    """Yield how the slices are divided, and who goes without."""
    if not asks_for_gpus(examination):
        return
    free = {
        node.name: node.offered - _taken_by_others(examination, node.name)
        for node in gpu_nodes(examination)
        if not node.obstacles
    }
    if not free:
        yield skipped(AREA, "all of it", "no node has a GPU for us")
        return
    everyone = _serving([*examination.workloads, *workloads(examination.others)])
    division = ", ".join(f"{wish.name} {wish.slices}" for wish in everyone)
    said = f"{division or 'nothing'} of {sum(free.values())} free for us on {', '.join(free)}"
    if without := _without_place(everyone, free):
        names = ", ".join(sorted({wish.name for wish in without}))
        fix = (
            "add a GPU, or write fewer to inference_services.deployed; without embeddings set index.embedding_model to static "
            "and index.embedding_url to null"
        )
        yield broken(AREA, "serving", f"{said}: no place for {names}", fix)
    else:
        yield ok(AREA, "serving", said)
    if examination.of_kind("ClusterTrainingRuntime"):
        yield _of_training(examination, everyone, free)


def _of_training(examination: Examination, everyone: Sequence[Wish], free: dict[str, int]) -> Finding:
    slices = examination.settings.training.gpu_slices
    job = Wish("a TrainJob", slices)
    if not _without_place([*everyone, job], free):
        return ok(AREA, "training", f"a TrainJob of {slices} finds a place beside all that serves")
    staying = [wish for wish in everyone if wish.name != PAUSED]
    if not _without_place([*staying, job], free):
        return ok(AREA, "training", f"a TrainJob of {slices} takes the place of {PAUSED}, which quotes meanwhile")
    holders = ", ".join(f"{wish.name} {wish.slices}" for wish in staying) or "the pods of others"
    return broken(
        AREA,
        "training",
        f"a TrainJob of {slices} would wait for good: {holders} of {sum(free.values())} stay taken",
        "add a GPU, or take embeddings out of inference_services.deployed (with index.embedding_model: static)",
    )


def _without_place(wishes: Sequence[Wish], free: dict[str, int]) -> list[Wish]:
    """Return those that find no node, the largest served first; each stays on one node."""
    left, without = dict(free), []
    for wish in sorted(wishes, key=lambda one: -one.slices):
        # The fullest node that has room keeps the others whole.
        fitting = [name for name, slices in left.items() if slices >= wish.slices]
        if not fitting:
            without.append(wish)
            continue
        left[min(fitting, key=lambda name: left[name])] -= wish.slices
    return without


def _serving(found: Sequence[Workload]) -> list[Wish]:
    asking = [(one, int(one.asked().get(GPU, 0))) for one in found if one.lasting]
    return [Wish(one.name, slices) for one, slices in asking if slices for _ in range(one.replicas)]


def _taken_by_others(examination: Examination, node: str) -> int:
    pods = examination.reading.items("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
    return sum(
        int(Workload("Pod", "", pod["spec"], {}, 1, True).asked().get(GPU, 0))
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in FINISHED and not _is_ours(pod, examination.namespace)
    )


def _is_ours(pod: Object, namespace: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    ours = "app.kubernetes.io/part-of"
    return pod["metadata"]["namespace"] == namespace and labels.get(ours) == LABELS[ours]
