"""The process in which ``kfp.local`` runs the pipeline: ``python -m pipelines.local_process ARGUMENTS_JSON``.

It is a process of its own because kfp.local writes every step's output to stdout and replaces the root logger's handlers;
``pipelines.local_run`` starts it, reads that output, and stops it with all its steps.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path

from cia.settings import Settings, load_settings


def main(arguments_json: str) -> None:
    """Run the pipeline once; the exit code is 1 when a step failed."""
    # kfp warns of images without 'python' in the name, and of settings that have no effect locally.
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    # kfp tells of a cached step through the root logger, which shows nothing by default.
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    warnings.filterwarnings("ignore", category=FutureWarning)
    settings = load_settings()
    from kfp import local

    from pipelines.definitions import code_assistant_pipeline

    state = pipeline_state(settings)
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(state / "artifacts"),
        workspace_root=str(state / "workspace"),
        enable_caching=settings.pipeline.caching,
        cache_root=str(state / "cache"),
    )
    code_assistant_pipeline(**json.loads(arguments_json))


def pipeline_state(settings: Settings) -> Path:
    """Return the folder with the artifacts and the cache of local runs."""
    return settings.home / "pipeline"


if __name__ == "__main__":
    main(sys.argv[1])
