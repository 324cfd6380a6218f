"""A training run in MLflow: what it was started with, its loss curve, and the files it made."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cia.registry.mlflow_client import artifact_folder, mlflow_errors, open_client, tracking_uri
from cia.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = 1000
"""MLflow takes no more metrics in one call."""


class TrainingRun:
    """An open run. ``id`` is what ``Registry.register`` is given."""

    def __init__(self, client: MlflowClient, uri: str, run_id: str) -> None:
        self.id = run_id
        self._client, self._uri = client, uri

    def log_curve(self, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Log a metric's course: ``(step, value)`` each."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, int(step)) for step, value in points]
        with mlflow_errors(self._uri):
            for start in range(0, len(metrics), BATCH):
                self._client.log_batch(self.id, metrics=metrics[start : start + BATCH])

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """Log single values, such as the evaluation's means."""
        for name, value in values.items():
            self.log_curve(name, [(0, value)])

    def log_folder(self, folder: Path, name: str) -> None:
        """Copy the files of ``folder`` to the run's artifacts under ``name``."""
        with mlflow_errors(self._uri):
            self._client.log_artifacts(self.id, str(folder), name)


@contextlib.contextmanager
def training_run(
    settings: Settings, name: str, parameters: Mapping[str, object], data_hash: str = "", tags: Mapping[str, str] | None = None
) -> Iterator[TrainingRun]:
    """Open a run for the block: finished when it ends, failed when it raises, killed when it is interrupted.

    ``data_hash`` is that of the training set. Raises UnavailableError when MLflow cannot be reached.
    """
    client, uri = open_client(settings), tracking_uri(settings)
    run_id = start_run(client, settings, name, {**(tags or {}), **({"data_hash": data_hash} if data_hash else {})})
    with mlflow_errors(uri):
        for key, value in parameters.items():
            client.log_param(run_id, key, value)
    status = "KILLED"
    try:
        yield TrainingRun(client, uri, run_id)
        status = "FINISHED"
    except Exception:
        status = "FAILED"
        raise
    finally:
        with mlflow_errors(uri):
            client.set_terminated(run_id, status)


def read_curve(settings: Settings, run_id: str, name: str = "loss") -> list[tuple[int, float]]:
    """Return a metric's course in a run, ``(step, value)`` each; [] when there is no such metric or run.

    Raises UnavailableError when MLflow cannot be reached.
    """
    client = open_client(settings)
    with mlflow_errors(tracking_uri(settings)):
        points = client.get_metric_history(run_id, name)
    return sorted((int(point.step), float(point.value)) for point in points)


def start_run(client: MlflowClient, settings: Settings, name: str, tags: Mapping[str, str]) -> str:
    """Return the id of a new run in the settings' experiment, which is made if it is not there."""
    folder = artifact_folder(settings)
    wanted = settings.registry.experiment
    with mlflow_errors(tracking_uri(settings)):
        experiment = client.get_experiment_by_name(wanted)
        if experiment is None:
            location = str(folder / wanted) if folder else None
            experiment_id = client.create_experiment(wanted, artifact_location=location)
        else:
            experiment_id = experiment.experiment_id
        return str(client.create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id)
