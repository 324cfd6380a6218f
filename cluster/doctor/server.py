"""The context, the server behind it and its version."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cia.errors import UnavailableError
from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, broken, ok, warning

AREA = "server"

OLDEST = 25
"""Kubernetes 1.25 has policy/v1, autoscaling/v2, batch/v1 CronJobs and CEL rules in CRDs, which the others' CRDs use."""


def check_server(examination: Examination) -> Iterator[Finding]:
    """Yield whether the server answers, and whether it is new enough."""
    import kubernetes

    connection = examination.connection
    where = f"{connection.context} ({connection.server})"
    try:
        version = examination.reading.get("/version")
    except UnavailableError as error:
        yield broken(AREA, where, str(error), "kubectl cluster-info; choose another context with --context")
        return
    yield ok(AREA, where, "answers")
    minor = re.match(r"\d+", str((version or {}).get("minor", "")))
    if minor is None:
        yield warning(AREA, "version", "the server does not say its version", "kubectl version")
        return
    said = f"Kubernetes {version.get('gitVersion', '')}"
    if int(minor.group()) < OLDEST:
        yield broken(AREA, "version", f"{said} lacks what the objects use", f"update the cluster to 1.{OLDEST} or newer")
        return
    models = int(kubernetes.__version__.partition(".")[0])
    if int(minor.group()) < models:
        behind = f"{said} is older than the models that objects are built from (1.{models}), and may not know all their fields"
        yield warning(AREA, "version", behind, "cia cluster apply --dry-run=server tells whether it takes them")
    else:
        yield ok(AREA, "version", said)
