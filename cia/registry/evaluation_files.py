"""The reports behind a version's scores, kept among the artifacts of its run: what a comparison of versions is made from."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cia.errors import InputError, OperationError
from cia.registry.mlflow_client import mlflow_errors, tracking_uri
from cia.registry.registered_adapter import RegisteredAdapter
from cia.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from cia.evaluation import Decision, EvaluationReport

EVALUATION_TAG = "evaluation"
"""On a version: the folder of its reports among the artifacts of its run, which may have been evaluated more than once."""

CANDIDATE, BASELINE, DECISION = "candidate.json", "baseline.json", "decision.json"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found of a version, of what it was compared with, and what the gate made of both."""

    candidate: EvaluationReport
    baseline: EvaluationReport
    decision: Decision


class EvaluationFiles:
    """The reports in the artifact store."""

    def __init__(self, settings: Settings, client: Callable[[], MlflowClient]) -> None:
        self._uri = tracking_uri(settings)
        self._client = client

    def upload(self, run_id: str, folder: Path) -> str:
        """Keep ``candidate.json``, ``baseline.json`` and ``decision.json`` with a run; return the folder they are in there."""
        digest = hashlib.sha256()
        for name in (CANDIDATE, BASELINE, DECISION):
            digest.update((folder / name).read_bytes())
        kept = f"{EVALUATION_TAG}/{digest.hexdigest()[:16]}"
        with mlflow_errors(self._uri):
            for name in (CANDIDATE, BASELINE, DECISION):
                self._client().log_artifact(run_id, str(folder / name), kept)
        return kept

    def read(self, adapter: RegisteredAdapter) -> Evaluation:
        """Return the reports of a version. Raises InputError when it has none, OperationError when they are gone or damaged."""
        from cia.evaluation import Decision, EvaluationReport

        kept = adapter.tags.get(EVALUATION_TAG)
        if not kept:
            raise InputError(f"{adapter.served_name} was registered without its evaluation; compare versions of the pipeline")
        try:
            with tempfile.TemporaryDirectory() as folder, mlflow_errors(self._uri):
                fetched = Path(self._client().download_artifacts(adapter.run_id, kept, folder))
                candidate, baseline = (
                    EvaluationReport.from_json((fetched / name).read_text(encoding="utf-8")) for name in (CANDIDATE, BASELINE)
                )
                decision = Decision.from_json(json.loads((fetched / DECISION).read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError, InputError):
            raise OperationError(
                f"the evaluation of {adapter.served_name} is gone from the registry or damaged; evaluate it again"
            ) from None
        return Evaluation(candidate, baseline, decision)
