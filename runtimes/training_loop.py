"""What every phase of a training shares: the trainer's settings, its reports, and how it is run and carried on with."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.checkpoints import Phase, finish_phase, finished_phase, newest_checkpoint
from runtimes.lora_model import load_adapter
from runtimes.memory import MemoryPlan
from runtimes.processes import Processes
from runtimes.processor import native_bfloat16
from runtimes.run_log import RunLog

CHECKPOINTS_KEPT = 2
"""The last, and the best or the one before it in case a kill cut the last one short."""

LOGGED = ("loss", "learning_rate", "grad_norm", "eval_loss", "reward", "reward_std", "entropy", "kl")
"""What is kept of the trainers' logs, besides the single rewards."""

Report = Callable[..., None]
"""``report(stage, done, total, **numbers)``: how far the run is, for a person or for a parent process."""


@dataclass(frozen=True)
class Workplace:
    """What a phase works with: options, memory plan, processes, and where it reports. ``first_step`` are the steps before it."""

    options: argparse.Namespace
    plan: MemoryPlan
    processes: Processes
    run: RunLog
    report: Report
    total_steps: int
    first_step: int = 0

    def folder(self, phase: str) -> Path:
        """Return where a phase keeps its checkpoints."""
        return Path(self.options.out).absolute() / "checkpoints" / phase


def trainer_settings(place: Workplace, phase: str, steps: int, batch: int, learning_rate: float) -> dict[str, Any]:
    """Return the arguments that the trainers of all phases take. ``batch`` counts the sequences of a step over all processes."""
    import torch

    options, gpu = place.options, torch.cuda.is_available()
    bfloat16 = native_bfloat16() if options.precision == "auto" else options.precision == "bfloat16"
    return {
        "output_dir": str(place.folder(phase)),
        "max_steps": steps,
        "per_device_train_batch_size": batch // (place.processes.count * place.plan.accumulation),
        "gradient_accumulation_steps": place.plan.accumulation,
        "gradient_checkpointing": place.plan.checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "learning_rate": learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": math.ceil(steps * options.warm_up),
        "bf16": bfloat16,
        "use_cpu": not gpu,
        "ddp_backend": "gloo" if place.processes.count > 1 and not gpu else None,
        "ddp_find_unused_parameters": False,
        "seed": options.seed,
        "data_seed": options.seed,
        "save_strategy": "steps" if options.checkpoint_steps else "no",
        "save_steps": options.checkpoint_steps or steps,
        "save_total_limit": CHECKPOINTS_KEPT,
        "restore_callback_states_from_checkpoint": True,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": gpu,
    }


def carry_out(place: Workplace, name: str, model: Any, make_trainer: Callable[[], Any]) -> Phase:
    """Run a phase to its end, from its last checkpoint if it has one, and return what it did; ``model`` is then trained.

    A phase that was done before a kill is not run again.
    """
    folder = place.folder(name)
    place.processes.wait()  # until the first has cleared away what is not to be carried on with
    done = finished_phase(folder)
    if done is not None:
        phase, adapter = done
        load_adapter(model, adapter)
        return phase
    checkpoint = newest_checkpoint(folder)
    trainer = make_trainer()
    teller = _teller(place, "training" if name == "sft" else "rewarding")
    trainer.add_callback(teller)
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.perf_counter() - started
    best = trainer.state.best_model_checkpoint
    phase = Phase(
        name=name,
        history=[_kept(entry) | {"step": entry["step"]} for entry in trainer.state.log_history if _kept(entry)],
        resumed_from=_step(checkpoint),
        tokens=trainer.state.num_input_tokens_seen - teller.tokens_before,
        seconds=seconds,
        best_step=_step(Path(best)) if best else trainer.state.global_step,
    )
    if place.processes.first:
        finish_phase(folder, phase, model)
    place.processes.wait()
    return phase


def _step(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def _kept(entry: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a log entry that are kept; a single reward's mean is called after it."""
    kept = {name: float(entry[name]) for name in LOGGED if name in entry}
    single = {name: value for name, value in entry.items() if name.startswith("rewards/") and name.endswith("/mean")}
    return kept | {f"reward_{name.split('/')[1]}": float(value) for name, value in single.items()}


def _teller(place: Workplace, stage: str) -> Any:
    """Return a callback that tells each step's numbers to the run log and to the watcher, and looks once more at the end."""
    from transformers import TrainerCallback

    class Teller(TrainerCallback):
        tokens_before = 0

        def on_train_begin(self, *context: Any, **_: Any) -> None:
            self.tokens_before = context[1].num_input_tokens_seen

        def on_log(self, *context: Any, **more: Any) -> None:
            _, state, _ = context
            numbers = _kept(more["logs"])
            if place.processes.first and numbers:
                step = place.first_step + state.global_step
                place.run.metrics(numbers, step)
                if "loss" in numbers:
                    place.report(stage, step, place.total_steps, **numbers)

        def on_step_end(self, *context: Any, **_: Any) -> None:
            arguments, state, control = context
            if state.global_step >= state.max_steps and arguments.eval_strategy != "no":
                control.should_evaluate = True

    return Teller()
