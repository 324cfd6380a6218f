"""Where a training run leaves its parameters, its losses and its adapter: MLflow, or nowhere.

The training script calls the same methods either way, so that it never asks whether MLflow is there.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from cia.registry.mlflow_client import QUIET, mlflow_errors

Outcome = Literal["FINISHED", "FAILED", "KILLED"]


class RunLog(Protocol):
    """One run. ``run_id`` is "" when nobody keeps it."""

    run_id: str

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Keep the settings of the run."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep measurements of one step."""

    def artifacts(self, directory: Path, name: str) -> None:
        """Keep the files below ``directory`` as the artifact folder ``name``."""

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep ``rows``, which have the same columns, as the table ``name``."""

    def end(self, outcome: Outcome) -> None:
        """Close the run."""


class SilentRunLog:
    """Keeps nothing."""

    run_id = ""

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Do nothing."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Do nothing."""

    def artifacts(self, directory: Path, name: str) -> None:
        """Do nothing."""

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Do nothing."""

    def end(self, outcome: Outcome) -> None:
        """Do nothing."""


class MlflowRunLog:
    """A run in an MLflow experiment. Raises UnavailableError, at its start too, when MLflow is away."""

    def __init__(self, uri: str, artifact_folder: str, experiment: str, run_name: str, tags: Mapping[str, str]) -> None:
        os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
        from mlflow import MlflowClient

        self._uri, self._artifact_folder = uri, artifact_folder
        logging.getLogger("alembic").setLevel(logging.ERROR)
        with mlflow_errors(uri):
            self._client = MlflowClient(tracking_uri=uri)
            run = self._client.create_run(self._experiment_id(experiment), run_name=run_name, tags=dict(tags))
            self.run_id = run.info.run_id

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Keep the settings of the run."""
        from mlflow.entities import Param

        with mlflow_errors(self._uri):
            self._client.log_batch(self.run_id, params=[Param(name, str(value)) for name, value in values.items()])

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep measurements of one step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with mlflow_errors(self._uri):
            self._client.log_batch(self.run_id, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def artifacts(self, directory: Path, name: str) -> None:
        """Keep the files below ``directory`` as the artifact folder ``name``."""
        with mlflow_errors(self._uri):
            self._client.log_artifacts(self.run_id, str(directory), name)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep ``rows``, which have the same columns, as the table ``name``."""
        with mlflow_errors(self._uri):
            columns = {column: [row[column] for row in rows] for column in rows[0]} if rows else {}
            self._client.log_table(self.run_id, columns, f"{name}.json")

    def end(self, outcome: Outcome) -> None:
        """Close the run."""
        with mlflow_errors(self._uri):
            self._client.set_terminated(self.run_id, status=outcome)

    def _experiment_id(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        if known:
            return str(known.experiment_id)
        location = str(Path(self._artifact_folder) / name) if self._artifact_folder else None
        return str(self._client.create_experiment(name, artifact_location=location))


def open_run_log(uri: str, artifact_folder: str, experiment: str, run_name: str, tags: Mapping[str, str]) -> RunLog:
    """Return a log at the MLflow tracking address ``uri``; "" gives one that keeps nothing.

    ``artifact_folder`` is where a new experiment's files go; "" leaves that to the MLflow server.
    """
    return MlflowRunLog(uri, artifact_folder, experiment, run_name, tags) if uri else SilentRunLog()
