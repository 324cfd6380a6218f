"""A restore of the index from outside the cluster: the job that does it, watched to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cia.errors import OperationError
from cia.progress import Progress, silent
from cia.settings import Settings
from cluster.apply.server import Server
from cluster.part import Object
from cluster.qdrant.objects import RESTORE, restore_job
from cluster.qdrant.saved import LATEST
from inference_services.cluster_objects import as_kubernetes_reads_it

LOOK_SECONDS = 2.0
JOB_LABEL = "batch.kubernetes.io/job-name"


def restore_in_cluster(
    server: Server,
    settings: Settings,
    snapshot: str = LATEST,
    progress: Progress = silent,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Have the cluster put ``snapshot`` back, wait for it, and return what the job said last: which snapshot it restored.

    ``progress`` is told the job's last line. Who stops waiting does not stop the job. Raises OperationError with what the job
    said when it fails, and CiaError for whatever the server refuses.
    """
    name = f"{RESTORE}-{datetime.now(UTC):%Y%m%d%H%M%S}"
    started = server.apply(as_kubernetes_reads_it(restore_job(settings, snapshot, name)))
    while True:
        job = server.live(started)
        if job is None:
            raise OperationError(f"the job {name} was deleted before it had ended; nothing says how far the restore came")
        said = _last_line(server, job)
        ended = {condition["type"]: condition for condition in _conditions(job) if condition["status"] == "True"}
        if "Complete" in ended:
            return said
        if "Failed" in ended:
            where = f"`kubectl logs job/{name} -n {job['metadata']['namespace']}` has the rest"
            raise OperationError(f"the restore failed: {said or ended['Failed'].get('message', 'no reason given')}; {where}")
        progress(said or "waiting for the job's pod", 0, 0)
        pause(LOOK_SECONDS)


def _conditions(job: Object) -> list[dict[str, str]]:
    return (job.get("status") or {}).get("conditions") or []


def _last_line(server: Server, job: Object) -> str:
    metadata = job["metadata"]
    pods = server.objects("v1", "Pod", metadata["namespace"], f"{JOB_LABEL}={metadata['name']}")
    return server.log(metadata["namespace"], pods[-1]["metadata"]["name"], RESTORE, previous=False, lines=1) if pods else ""
