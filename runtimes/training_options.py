"""The options of the training entry point: what each means, what it is without being named, and which together cannot work."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cia.errors import InputError
from runtimes.memory import PROFILES

DECIDES = (
    *("base", "adapter", "method", "rank", "alpha", "target_modules", "quantization", "precision", "seed"),
    *("steps", "batch_size", "max_tokens", "packing", "learning_rate", "warm_up", "held_out", "patience"),
    *("grpo_steps", "grpo_questions", "grpo_answers", "grpo_learning_rate", "grpo_temperature", "grpo_beta", "answer_tokens"),
)
"""Options that decide what the adapter becomes, and so whether a checkpoint may be carried on with."""


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line. Every default is the laptop's."""
    parser = argparse.ArgumentParser(prog="python -m runtimes.fine_tune", description="Fine-tune a code model with LoRA.")
    _file_options(parser)
    _adapter_options(parser)
    _training_options(parser)
    _grpo_options(parser)
    _machine_options(parser)
    _report_options(parser)
    return parser.parse_args(arguments)


def _file_options(parser: argparse.ArgumentParser) -> None:
    files = parser.add_argument_group("files")
    files.add_argument("--examples", type=Path, required=True, help="JSON Lines of messages, completion and check")
    files.add_argument("--data-hash", default="", help="the data set's own hash, kept with the run")
    files.add_argument("--base", required=True, help="model folder, or a name that transformers resolves")
    files.add_argument("--adapter", default="", help='start from this adapter\'s folder ("" = from a fresh one)')
    files.add_argument("--out", type=Path, required=True, help="folder for adapter/ and training.json; checkpoints live here too")


def _adapter_options(parser: argparse.ArgumentParser) -> None:
    adapter = parser.add_argument_group("adapter")
    adapter.add_argument("--rank", type=int, default=16, help="LoRA rank")
    adapter.add_argument("--alpha", type=int, default=32, help="LoRA alpha; the update is scaled by alpha / rank")
    adapter.add_argument("--max-lora-rank", type=int, default=16, help="the largest rank that the server takes")
    adapter.add_argument(
        "--target-modules",
        default="q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
        help="layers that get an adapter, with commas between",
    )
    adapter.add_argument("--quantization", choices=["none", "nf4"], default="none", help="nf4 = QLoRA: the base in 4 bits")


def _training_options(parser: argparse.ArgumentParser) -> None:
    loop = parser.add_argument_group("training")
    loop.add_argument(
        "--method", choices=["sft", "grpo", "sft+grpo"], default="sft", help="imitate, be rewarded, or one after the other"
    )
    loop.add_argument("--steps", type=int, default=90, help="optimiser steps of the imitation (SFT)")
    loop.add_argument("--batch-size", type=int, default=16, help="sequences a step, over all processes")
    loop.add_argument("--max-tokens", type=int, default=640, help="a longer example loses the start of its prompt")
    loop.add_argument(
        "--packing", choices=["none", "by_length", "packed"], default="by_length",
        help="batches of any examples, of those of about one length, or several examples in each sequence",
    )  # fmt: skip
    loop.add_argument(
        "--learning-rate", type=float, default=1.5e-3, help="peak; 1.5e-3 suits the small model, 2e-4 one of billions"
    )
    loop.add_argument(
        "--warm-up", type=float, default=0.05, help="share of the steps in which the rate rises; then a half cosine"
    )
    loop.add_argument("--seed", type=int, default=7, help="fixes the adapter's first weights and the order of examples")
    loop.add_argument("--checkpoint-steps", type=int, default=25, help="steps between checkpoints (0 = none, a kill starts over)")
    loop.add_argument("--held-out", type=float, default=0.05, help="share of the examples that the loss is watched on (0 = none)")
    loop.add_argument("--patience", type=int, default=0, help="stop after so many checkpoints without a better loss (0 = never)")


def _grpo_options(parser: argparse.ArgumentParser) -> None:
    grpo = parser.add_argument_group("reward (GRPO)")
    grpo.add_argument("--grpo-steps", type=int, default=30, help="optimiser steps")
    grpo.add_argument("--grpo-questions", type=int, default=8, help="questions a step")
    grpo.add_argument("--grpo-answers", type=int, default=8, help="answers to each, compared with one another")
    grpo.add_argument("--grpo-learning-rate", type=float, default=3e-4, help="peak rate")
    grpo.add_argument("--grpo-temperature", type=float, default=1.0, help="of the sampled answers")
    grpo.add_argument(
        "--grpo-beta", type=float, default=0.0, help="weight of staying near the model that it starts from (0 = none)"
    )
    grpo.add_argument("--answer-tokens", type=int, default=12, help="the longest sampled answer")


def _machine_options(parser: argparse.ArgumentParser) -> None:
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--memory", choices=["auto", *PROFILES], default="auto", help="what the training may take (auto = the device's)"
    )
    machine.add_argument("--gradient-accumulation", type=int, default=0, help="parts of a step's batch (0 = the fewest that fit)")
    machine.add_argument(
        "--gradient-checkpointing", choices=["auto", "on", "off"], default="auto", help="compute activations twice"
    )
    machine.add_argument("--precision", choices=["auto", "bfloat16", "float32"], default="auto", help="of matrix products")
    machine.add_argument("--threads", type=int, default=0, help="CPU threads (0 = OMP_NUM_THREADS, or one)")


def _report_options(parser: argparse.ArgumentParser) -> None:
    reports = parser.add_argument_group("reports")
    reports.add_argument("--mlflow-uri", default="", help='MLflow tracking address ("" = keep no run)')
    reports.add_argument("--artifact-folder", default="", help='a new experiment keeps its files here ("" = the server decides)')
    reports.add_argument("--experiment", default="code-assistant", help="MLflow experiment")
    reports.add_argument("--run-name", default="fine-tune", help="MLflow run name")
    reports.add_argument("--samples", type=int, default=8, help="questions answered before and after, to be looked at")
    reports.add_argument("--json-progress", action="store_true", help="progress as JSON Lines on stdout, for a parent process")


def check_options(options: argparse.Namespace, processes: int = 1) -> None:
    """Raise InputError for what would only fail later: a rank that the server refuses, a batch that does not divide."""
    counts = ("rank", "alpha", "steps", "batch_size", "max_tokens", "grpo_steps", "grpo_questions", "answer_tokens")
    for name in counts:
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be 1 or more")
    if options.rank > options.max_lora_rank:
        raise InputError(
            f"--rank is {options.rank}, above the {options.max_lora_rank} that vLLM accepts; "
            "lower training.rank or raise serving.max_lora_rank"
        )
    if options.grpo_answers < 2:
        raise InputError("--grpo-answers is below 2; GRPO compares the answers to one question with each other")
    parts = processes * max(1, options.gradient_accumulation)
    for name, batch in (("batch_size", options.batch_size), ("grpo.questions", options.grpo_questions * options.grpo_answers)):
        if batch % parts:
            raise InputError(f"training.{name} gives {batch} sequences a step, which {parts} equal parts cannot share")
    if options.patience and not (options.held_out and options.checkpoint_steps):
        raise InputError(
            "early stopping looks at held-out examples at each checkpoint; set training.early_stopping.share above 0"
        )


def recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Return everything that decides what the adapter becomes, the bytes of the examples included."""
    decided = {name: getattr(options, name) for name in DECIDES}
    return decided | {"data_sha256": hashlib.sha256(options.examples.read_bytes()).hexdigest(), "data_hash": options.data_hash}


def identity(options: argparse.Namespace) -> str:
    """Return a hash of the recipe."""
    return hashlib.sha256(json.dumps(recipe(options), sort_keys=True).encode()).hexdigest()
