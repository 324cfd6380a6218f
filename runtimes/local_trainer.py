"""Fine-tuning on this machine, as a job of the Kubeflow Trainer SDK's local process backend.

The SDK changes the working directory of the process that submits, looks ``python`` up on the PATH, makes a virtual environment
in the temporary folder and leaves it there when the job fails. So a process of its own submits: ``python -m
runtimes.local_trainer REQUEST``, in a folder of its own that goes away with the job, on a leash that ends the job when whoever
asked for it dies.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cia.durable_files import STAGING_MARK, exclusive, remove_unfinished
from cia.leash import Leashed
from cia.progress import Progress, silent
from cia.settings import Settings
from runtimes.job_output import JobOutput
from runtimes.train_job import FineTuneRequest, FineTuneResult

RUNTIME = "torch-distributed"
"""The only runtime that the SDK's local backend knows."""


class LocalTrainer:
    """Runs one job at a time below ``settings.home``."""

    def __init__(self, settings: Settings) -> None:
        self._jobs = settings.home / "training-jobs"
        self._timeout = settings.training.timeout_seconds

    def run(self, request: FineTuneRequest, progress: Progress = silent) -> FineTuneResult:
        """Return the adapter and its figures. Raises OperationError with the cause, BusyError while another job runs."""
        with exclusive(self._jobs / ".lock", "training"):
            remove_unfinished(self._jobs)
            folder = Path(tempfile.mkdtemp(prefix=f"job{STAGING_MARK}", dir=self._jobs))
            try:
                self._submit(request, folder, JobOutput(progress))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return FineTuneResult.read(request.out)

    def _submit(self, request: FineTuneRequest, folder: Path, output: JobOutput) -> None:
        order = folder / "order.json"
        order.write_text(json.dumps({"command": request.command(), "timeout_seconds": self._timeout}), encoding="utf-8")
        command = [sys.executable, "-m", "runtimes.local_trainer", str(order)]
        submitter = Leashed(
            command,
            environment=_environment(folder),
            directory=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            assert submitter.process.stdout is not None
            for line in submitter.process.stdout:
                output.take(line.decode("utf-8", "replace"))
            if submitter.wait() != 0:
                raise output.failure("the training job")
        finally:
            submitter.stop()


def _environment(folder: Path) -> dict[str, str]:
    # The job runs in the SDK's new virtual environment, which is empty: it finds everything where this process does.
    interpreter = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{interpreter}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(folder),
    }


def train(order):  # type: ignore[no-untyped-def]
    """Run the training entry point. Only this function's source travels to the job."""
    import runpy
    import sys

    module, *sys.argv[1:] = order["command"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def submit(order: dict[str, Any]) -> int:
    """Submit the job, print its log as it comes, and return 0 when it completed, else 1."""
    from kubeflow.trainer import CustomTrainer, LocalProcessBackendConfig, TrainerClient

    client = TrainerClient(LocalProcessBackendConfig())
    runtime = client.get_runtime(RUNTIME)
    # "torch" would look for torchrun in the new environment; one plain process is what a laptop wants.
    runtime.trainer.framework = "python"
    trainer = CustomTrainer(func=train, func_args={"command": order["command"]}, env=dict(os.environ))
    job = client.train(runtime=runtime, trainer=trainer)
    shown = 0

    def show(_: Any) -> None:
        nonlocal shown
        lines = list(client.get_job_logs(job))
        print(*lines[shown:], sep="\n", end="\n" if lines[shown:] else "", flush=True)
        shown = len(lines)

    try:
        # Without both statuses, the wait for a failed job would last until the timeout.
        ended = client.wait_for_job_status(
            job, status={"Complete", "Failed"}, timeout=order["timeout_seconds"], polling_interval=1, callbacks=[show]
        )
    except TimeoutError:
        print(f"error: it ran longer than {order['timeout_seconds']} s; raise training.timeout_seconds or lower training.steps")
        return 1
    show(None)
    return 0 if ended.status == "Complete" else 1


if __name__ == "__main__":
    code = submit(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    sys.stdout.flush()
    # The SDK's thread would keep this process until a job that timed out ends; the leash ends the job.
    os._exit(code)
