"""Where a training run leaves its parameters, its losses and its adapter: MLflow, or nowhere.

The training script calls the same four methods either way, so that it never asks whether MLflow is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from cia.errors import UnavailableError

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

    def end(self, outcome: Outcome) -> None:
        """Do nothing."""


class MlflowRunLog:
    """A run in an MLflow experiment. Raises UnavailableError from the start, not after an hour, when MLflow is away."""

    def __init__(self, uri: str, experiment: str, run_name: str) -> None:
        from mlflow import MlflowClient

        try:
            self._client = MlflowClient(tracking_uri=uri)
            self.run_id = self._client.create_run(self._experiment_id(experiment), run_name=run_name).info.run_id
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise UnavailableError(
                f"MLflow at {uri} does not take a run ({reason}); start it, or leave out --mlflow-uri"
            ) from error

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Keep the settings of the run."""
        for name, value in values.items():
            self._client.log_param(self.run_id, name, value)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep measurements of one step."""
        for name, value in values.items():
            self._client.log_metric(self.run_id, name, value, step=step)

    def artifacts(self, directory: Path, name: str) -> None:
        """Keep the files below ``directory`` as the artifact folder ``name``."""
        self._client.log_artifacts(self.run_id, str(directory), name)

    def end(self, outcome: Outcome) -> None:
        """Close the run."""
        self._client.set_terminated(self.run_id, status=outcome)

    def _experiment_id(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        return known.experiment_id if known else self._client.create_experiment(name)


def open_run_log(uri: str, experiment: str, run_name: str) -> RunLog:
    """Return a log at the MLflow tracking address ``uri``; "" gives one that keeps nothing."""
    return MlflowRunLog(uri, experiment, run_name) if uri else SilentRunLog()
