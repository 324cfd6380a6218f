"""Send the pipelines to Kubeflow: a run now, or one again and again."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cia.settings import Settings
from pipelines.arguments import pipeline_arguments
from pipelines.compiling import compile_pipeline
from pipelines.definitions import INDEX_PIPELINE_NAME, PIPELINE_NAME
from pipelines.kubeflow import Kubeflow

SCHEDULE = "code-assistant-index"
"""Name of the recurring run."""


@dataclass(frozen=True, slots=True)
class SubmittedRun:
    """A run that Kubeflow has taken, and where a browser shows it."""

    id: str
    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.id}  {self.address}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recurring run as it now is; ``change`` is created, changed, unchanged, deleted or absent."""

    change: str
    cron: str
    id: str


def submit(settings: Settings, run_name: str | None = None, experiment: str | None = None) -> SubmittedRun:
    """Start a run of the whole pipeline. Raises UnavailableError, AccessError or InputError, each in a sentence."""
    kubeflow = Kubeflow(settings)
    name = run_name or f"{PIPELINE_NAME} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    arguments = pipeline_arguments(settings)
    into = kubeflow.experiment(experiment or settings.registry.experiment, create=True)
    with tempfile.TemporaryDirectory() as staging, kubeflow.answering():
        run: Any = kubeflow.client.run_pipeline(
            experiment_id=into,
            job_name=name,
            pipeline_package_path=str(compile_pipeline(settings, PIPELINE_NAME, Path(staging))),
            params=arguments,
            service_account=settings.pipeline.service_account,
        )
    return SubmittedRun(str(run.run_id), name, kubeflow.address_of(run.run_id))


def schedule_index(settings: Settings, cron: str | None = None, experiment: str | None = None) -> Schedule:
    """Have Kubeflow run the index pipeline at ``cron`` (six fields, default ``pipeline.schedule``): once, however often called.

    One that is there with another time, package or sources is replaced. Raises as ``submit``.
    """
    kubeflow, cron = Kubeflow(settings), cron or settings.pipeline.schedule
    into = kubeflow.experiment(experiment or settings.registry.experiment, create=True)
    arguments = {"sources": settings.corpus.sources}
    with tempfile.TemporaryDirectory() as staging, kubeflow.answering():
        package = compile_pipeline(settings, INDEX_PIPELINE_NAME, Path(staging))
        described = _description(package, cron, arguments, settings.pipeline.service_account)
        known = _scheduled(kubeflow)
        same = [one for one in known if one.description == described]
        if not same:
            made = kubeflow.client.create_recurring_run(
                experiment_id=into,
                job_name=SCHEDULE,
                description=described,
                cron_expression=cron,
                no_catchup=True,
                params=arguments,
                pipeline_package_path=str(package),
                service_account=settings.pipeline.service_account,
            )
        kept = same[0] if same else made
        for one in known:  # after the new one is there: a kill in between leaves two, which the next call sees
            if one.recurring_run_id != kept.recurring_run_id:
                kubeflow.client.delete_recurring_run(one.recurring_run_id)
    change = "unchanged" if same else "changed" if known else "created"
    return Schedule(change, cron, str(kept.recurring_run_id))


def unschedule_index(settings: Settings) -> Schedule:
    """End what ``schedule_index`` began; runs that have started go on. Raises as ``submit``."""
    kubeflow = Kubeflow(settings)
    with kubeflow.answering():
        known = _scheduled(kubeflow)
        for one in known:
            kubeflow.client.delete_recurring_run(one.recurring_run_id)
    return Schedule("deleted" if known else "absent", "", known[0].recurring_run_id if known else "")


def cancel(settings: Settings, run: str) -> None:
    """End a run. Raises InputError when there is no such run, otherwise as ``submit``."""
    kubeflow = Kubeflow(settings)
    kubeflow.run(run)
    with kubeflow.answering():
        kubeflow.client.terminate_run(run)


def _scheduled(kubeflow: Kubeflow) -> list[Any]:
    named = {"operation": "EQUALS", "key": "display_name", "stringValue": SCHEDULE}
    listed = kubeflow.client.list_recurring_runs(
        page_size=100, namespace=kubeflow.namespace, filter=json.dumps({"predicates": [named]})
    )
    return [one for one in listed.recurring_runs or [] if one.display_name == SCHEDULE]


def _description(package: Path, cron: str, arguments: dict[str, Any], account: str) -> str:
    """What a recurring run is made of: by its digest one that has changed is told from one that has not."""
    made_of = package.read_bytes() + json.dumps([cron, arguments, account], sort_keys=True).encode()
    return f"Keeps the index fresh; made of {hashlib.sha256(made_of).hexdigest()[:16]}."
