"""Whether the images can be pulled: told by the pods that could not, and by names that nobody serves."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning
from cluster.doctor.pods import our_pods

AREA = "images"

NOT_PULLED = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")

OWN = ("code-assistant-",)
"""Images of this project, which no public registry has."""

PUBLISHED_ELSEWHERE = ("nvidia/",)
"""Makers who publish in a registry of their own, which is not the one that a name without a host means."""


def check_images(examination: Examination) -> Iterator[Finding]:
    """Yield images that could not be pulled, and those whose name leads nowhere."""
    failed = dict(_not_pulled(examination))
    for image, message in failed.items():
        yield broken(
            AREA,
            image,
            f"cannot be pulled: {message}",
            f"push {image} where nodes reach it, or set cluster.image_registry to your mirror",
        )
    on_nodes = _on_nodes(examination)
    unnamed = []
    wanted = sorted(
        {container["image"] for one in examination.workloads for container in one.containers if container.get("image")}
    )
    for image in wanted:
        if image in failed or image in on_nodes:
            continue
        if image.startswith(OWN + PUBLISHED_ELSEWHERE):
            unnamed.append(image)
    if unnamed:
        yield warning(
            AREA,
            "names without a registry",
            f"{', '.join(unnamed)}: nodes would look for them in their default registry, which does not have them",
            "make images, push them with the others to your registry, and set cluster.image_registry to its address",
        )
    if wanted and not failed and not unnamed:
        yield ok(AREA, "all", f"{len(wanted)} images, none refused")


def _not_pulled(examination: Examination) -> Iterator[tuple[str, str]]:
    for pod in our_pods(examination):
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in NOT_PULLED:
                yield container["image"], " ".join(str(waiting.get("message") or waiting["reason"]).split())


def _on_nodes(examination: Examination) -> set[str]:
    """Return the images that nodes have, as they name them; a node tells of 50 at most."""
    nodes = examination.reading.items("/api/v1/nodes")
    names = {
        name for node in nodes for image in (node.get("status") or {}).get("images") or [] for name in image.get("names") or []
    }
    # A runtime writes its default registry in front of a name without one.
    return names | {name.partition("/library/")[2] or name.partition("/")[2] for name in names if "/" in name}
