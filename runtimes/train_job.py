"""A fine-tuning job: what is asked, what comes back, and the one interface that a laptop and a cluster share.

result = choose_trainer(settings).run(FineTuneRequest.of(settings, examples, base, out), progress)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cia.errors import OperationError
from cia.progress import Progress, silent
from cia.registry.mlflow_client import artifact_folder
from cia.settings import Settings, TrainingSettings

ENTRY_POINT = "runtimes.fine_tune"
"""The module that every job runs, wherever it runs."""

TORCHRUN = "torch.distributed.run"
"""The module behind the command ``torchrun``."""


@dataclass(frozen=True)
class FineTuneRequest:
    """Everything a job needs. Paths must mean the same where the job runs: on a cluster, places on the shared volume."""

    examples: Path
    base: str
    out: Path
    options: tuple[str, ...] = ()
    processes: int = 1

    @classmethod
    def of(
        cls, settings: Settings, examples: Path, base: str, out: Path, mlflow_uri: str = "", data_hash: str = ""
    ) -> FineTuneRequest:
        """Return the request that ``settings`` describe. ``data_hash`` is the data set's own, for the run's parameters."""
        options = _training_options(settings.training) | {
            "max-lora-rank": settings.serving.max_lora_rank,
            "data-hash": data_hash,
            "mlflow-uri": mlflow_uri,
            "artifact-folder": (artifact_folder(settings) or "") if mlflow_uri else "",
            "experiment": settings.registry.experiment,
        }
        given = tuple(f"--{name}={value}" for name, value in options.items())
        return cls(examples, base, out, given, settings.training.processes)

    def arguments(self) -> list[str]:
        """Return the options of ``runtimes.fine_tune`` for this request."""
        # A job runs in a folder of its own, so paths must not be relative; a base that is no folder is a hub name.
        base = Path(self.base).absolute() if Path(self.base).is_dir() else self.base
        files = [f"--examples={self.examples.absolute()}", f"--base={base}", f"--out={self.out.absolute()}"]
        return [*files, *self.options, "--json-progress"]

    def command(self) -> list[str]:
        """Return the modules and options that ``python -m`` runs: the entry point, by torchrun when processes are several."""
        if self.processes == 1:
            return [ENTRY_POINT, *self.arguments()]
        return [TORCHRUN, "--standalone", f"--nproc-per-node={self.processes}", "-m", ENTRY_POINT, *self.arguments()]


def _training_options(training: TrainingSettings) -> dict[str, Any]:
    checkpointing = {None: "auto", True: "on", False: "off"}[training.gradient_checkpointing]
    return {
        "method": training.method,
        "rank": training.rank,
        "alpha": training.alpha,
        "target-modules": ",".join(training.target_modules),
        "quantization": training.quantization,
        "steps": training.steps,
        "batch-size": training.batch_size,
        "max-tokens": training.max_tokens,
        "packing": training.packing,
        "learning-rate": training.learning_rate,
        "warm-up": training.warm_up,
        "seed": training.seed,
        "checkpoint-steps": training.checkpoint_steps,
        "held-out": training.early_stopping.share,
        "patience": training.early_stopping.patience,
        "grpo-steps": training.grpo.steps,
        "grpo-questions": training.grpo.questions,
        "grpo-answers": training.grpo.answers,
        "grpo-learning-rate": training.grpo.learning_rate,
        "grpo-temperature": training.grpo.temperature,
        "grpo-beta": training.grpo.beta,
        "answer-tokens": training.grpo.answer_tokens,
        "memory": training.memory,
        "gradient-accumulation": training.gradient_accumulation or 0,
        "gradient-checkpointing": checkpointing,
        "precision": training.precision,
        "threads": training.threads or 0,
    }


@dataclass(frozen=True)
class FineTuneResult:
    """A finished adapter. ``losses`` are nats per completion token, one a step; ``run_id`` is MLflow's, or ""."""

    adapter: Path
    losses: tuple[float, ...]
    seconds: float
    tokens_per_second: float
    peak_memory_mib: int
    run_id: str
    report: dict[str, Any]

    @classmethod
    def read(cls, out: Path) -> FineTuneResult:
        """Return what a job left in ``out``. Raises OperationError when it left nothing whole."""
        try:
            report = json.loads((out / "training.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OperationError(f"the training job left no result in {out}; see its log and run it again") from error
        return cls(
            adapter=out / "adapter",
            losses=tuple(report["losses"]),
            seconds=report["seconds"],
            tokens_per_second=report["tokens_per_second"],
            peak_memory_mib=report["peak_memory_mib"],
            run_id=report["run_id"],
            report=report,
        )


class Trainer(Protocol):
    """Runs a fine-tuning job to its end."""

    def run(self, request: FineTuneRequest, progress: Progress = silent) -> FineTuneResult:
        """Return the adapter and its figures. Raises OperationError with the cause when the job fails."""


def choose_trainer(settings: Settings, make_room: Callable[[str], None] = lambda _: None) -> Trainer:
    """Return the trainer that ``training.backend`` names.

    ``make_room`` is called with a TrainJob's name when a cluster has no GPU left for it.
    """
    if settings.training.backend == "kubeflow":
        from runtimes.cluster_trainer import ClusterTrainer

        return ClusterTrainer(settings, make_room=make_room)
    from runtimes.local_trainer import LocalTrainer

    return LocalTrainer(settings)
