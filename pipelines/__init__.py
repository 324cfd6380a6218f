"""The pipelines, and the three ways to use them: compile, run here, submit to Kubeflow.

from pipelines import run_locally, submit
run_locally(load_settings())
"""

from pipelines.compiling import compile_pipelines
from pipelines.definitions import code_assistant_pipeline, index_pipeline
from pipelines.local_run import RunResult, run_locally
from pipelines.submission import submit

__all__ = ["RunResult", "code_assistant_pipeline", "compile_pipelines", "index_pipeline", "run_locally", "submit"]
