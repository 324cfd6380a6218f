"""The pipelines, and the three ways to use them: compile, run here, submit to Kubeflow.

from pipelines import run_locally, submit
run_locally(load_settings())
"""

from pipelines.compiling import compile_pipelines
from pipelines.definitions import code_assistant_pipeline, index_pipeline
from pipelines.local_run import RunResult, run_locally
from pipelines.submission import Schedule, SubmittedRun, cancel, schedule_index, submit, unschedule_index
from pipelines.watching import RunStatus, list_runs
from pipelines.watching import watch as watch_run

__all__ = [
    "RunResult",
    "RunStatus",
    "Schedule",
    "SubmittedRun",
    "cancel",
    "code_assistant_pipeline",
    "compile_pipelines",
    "index_pipeline",
    "list_runs",
    "run_locally",
    "schedule_index",
    "submit",
    "unschedule_index",
    "watch_run",
]
