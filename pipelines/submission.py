"""Send the pipeline to a Kubeflow Pipelines API. Built against the kfp SDK; not tried on a cluster."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from cia.errors import InputError, UnavailableError
from cia.settings import Settings
from pipelines.arguments import pipeline_arguments
from pipelines.compiling import compile_pipelines
from pipelines.definitions import PIPELINE_NAME


def submit(settings: Settings, run_name: str | None = None, experiment: str | None = None) -> str:
    """Start a run of the whole pipeline and return its id. Raises UnavailableError when the API does not answer."""
    if not settings.pipeline.host:
        raise InputError("no KFP address: set pipeline.host (CIA_PIPELINE__HOST), or use `cia pipeline run` to run here")
    from kfp import Client

    with tempfile.TemporaryDirectory() as staging:
        package = next(path for path in compile_pipelines(settings, Path(staging)) if path.stem == PIPELINE_NAME)
        try:
            run: Any = Client(host=settings.pipeline.host, namespace=settings.cluster.namespace).create_run_from_pipeline_package(
                str(package),
                arguments=pipeline_arguments(settings),
                run_name=run_name,
                experiment_name=experiment or settings.registry.experiment,
                enable_caching=settings.pipeline.caching,
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise UnavailableError(f"{settings.pipeline.host} did not take the run ({reason}); check pipeline.host") from error
    return str(run.run_id)
