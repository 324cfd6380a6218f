"""Fine-tune a code model with LoRA on question-answer examples, and leave an adapter that vLLM serves.

    python -m runtimes.fine_tune --examples examples.jsonl --base MODEL_FOLDER --out OUT
    python -m runtimes.fine_tune --examples examples.jsonl --base MODEL_FOLDER --out OUT --method sft+grpo --quantization nf4
    torchrun --standalone --nproc-per-node 2 -m runtimes.fine_tune --examples examples.jsonl --base MODEL_FOLDER --out OUT

An example is a line of JSON: {"messages": [{"role": "user", "content": "..."}], "completion": "the answer", "check": {...}}. The
loss is on the completion only; rewards look at ``check``. OUT gets ``adapter/`` (what vLLM loads) and ``training.json`` (what
happened), each whole or not at all. Run the same command again after a kill and it carries on from the last checkpoint.

The story below: examples, tokens, memory, model, phases, save.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cia.adapter import check_adapter
from cia.durable_files import exclusive, remove_unfinished, replace_directory, replace_text
from cia.errors import CiaError
from runtimes.checkpoints import Phase, forget_other_recipes
from runtimes.ending import memory_errors, recorded, sigterm_as_exit
from runtimes.lora_model import LoraModelRequest, choose_loader, load_adapter, load_tokenizer
from runtimes.memory import PROFILES, MemoryPlan, Training, plan_memory
from runtimes.model_shape import ModelShape
from runtimes.processes import Processes
from runtimes.processor import limit_threads, memory_of_device, native_bfloat16, peak_memory_mib
from runtimes.quiet import quiet_libraries
from runtimes.reinforcement import be_rewarded
from runtimes.run_log import RunLog, SilentRunLog, open_run_log
from runtimes.samples import answers_to, sample_table
from runtimes.supervised import imitate
from runtimes.training_examples import Encoded, encode, hold_out, read_examples
from runtimes.training_loop import Report, Workplace
from runtimes.training_options import check_options, identity, parse_options, recipe


def fine_tune(options: argparse.Namespace, report: Report) -> dict[str, Any]:
    """Train, save the adapter, and return what ``training.json`` holds. Raises CiaError."""
    processes = Processes.of_environment()
    check_options(options, processes.count)
    load_model = choose_loader(processes)
    learn, watch = hold_out(read_examples(options.examples), options.held_out)

    tokenizer, shape = load_tokenizer(options.base)
    encoded = encode(learn, tokenizer, options.max_tokens)
    watched = encode(watch, tokenizer, options.max_tokens) if watch else None
    plan = _memory_plan(options, shape, encoded, processes)
    if processes.first:
        print(plan.table(), file=sys.stderr, flush=True)

    out = Path(options.out).absolute()
    with processes.joined(), _alone(out, processes, identity(options)):
        report("loading the base model", 0, _total_steps(options))
        with memory_errors(options):
            model, _ = load_model(_model_request(options, processes))
        if options.adapter:
            load_adapter(model, Path(options.adapter))
        run = _run_log(options) if processes.first else SilentRunLog()
        with recorded(run), memory_errors(options):
            run.parameters(recipe(options) | {"processes": processes.count, "accumulation": plan.accumulation})
            shown = (watch or learn)[: options.samples] if processes.first else []
            before = answers_to(shown, model, tokenizer, adapted=bool(options.adapter))

            place = Workplace(options, plan, processes, run, report, _total_steps(options))
            phases: list[Phase] = []
            if "sft" in _phases(options):
                phases.append(imitate(place, model, tokenizer, encoded, watched))
            if "grpo" in _phases(options):
                place = replace(place, first_step=place.total_steps - options.grpo_steps)
                phases.append(be_rewarded(place, model, tokenizer, learn))

            samples = sample_table(shown, before, answers_to(shown, model, tokenizer, adapted=True))
            outcome = _outcome(options, phases, encoded, plan) | {"samples": samples, "run_id": run.run_id}
            if processes.first:
                report("saving the adapter", place.total_steps, place.total_steps)
                _save(model, outcome, out, options, run)
        if processes.first:
            shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return outcome


def _total_steps(options: argparse.Namespace) -> int:
    return sum({"sft": options.steps, "grpo": options.grpo_steps}[name] for name in _phases(options))


def _phases(options: argparse.Namespace) -> list[str]:
    return str(options.method).split("+")


@contextlib.contextmanager
def _alone(out: Path, processes: Processes, identity: str) -> Iterator[None]:
    """Hold the folder while the block runs, rid of what a kill or another recipe left. The first process does it for all."""
    if not processes.first:
        yield
        return
    with exclusive(out / ".lock", f"training into {out}"):
        forget_other_recipes(out / "checkpoints", identity)
        remove_unfinished(out)
        yield


def _run_log(options: argparse.Namespace) -> RunLog:
    tags = {"data_hash": options.data_hash} if options.data_hash else {}
    return open_run_log(options.mlflow_uri, options.artifact_folder, options.experiment, options.run_name, tags)


# ---------------------------------------------------------------- memory and model


def _memory_plan(options: argparse.Namespace, shape: ModelShape | None, encoded: Encoded, processes: Processes) -> MemoryPlan:
    """Return how a step is computed so that it fits the profile, or the device. Raises InputError when it does not fit."""
    import torch

    limit, name = memory_of_device()
    gpu = torch.cuda.is_available()
    if options.memory != "auto":
        limit, name = PROFILES[options.memory], f"the {options.memory} profile"
    elif not gpu:
        limit //= processes.count
    checkpointing = {"auto": None, "on": True, "off": False}[options.gradient_checkpointing]
    if shape is None:
        return MemoryPlan(
            {}, limit, f"{name}; no reckoning for this kind of model", options.gradient_accumulation or 1, bool(checkpointing)
        )
    rewarded = options.grpo_questions * options.grpo_answers if "grpo" in _phases(options) else 0
    training = Training(
        device="cuda" if gpu else "cpu",
        nf4=options.quantization == "nf4",
        bfloat16=gpu or (native_bfloat16() if options.precision == "auto" else options.precision == "bfloat16"),
        rank=options.rank,
        target_modules=_target_modules(options),
        batch=max(options.batch_size, rewarded) // processes.count,
        tokens=options.max_tokens if options.packing == "packed" else encoded.longest,
        completion_tokens=max(encoded.longest_completion, options.answer_tokens if rewarded else 0),
        sampled=rewarded // processes.count,
    )
    return plan_memory(shape, training, limit, name, options.gradient_accumulation, checkpointing)


def _model_request(options: argparse.Namespace, processes: Processes) -> LoraModelRequest:
    return LoraModelRequest(
        base=options.base,
        quantization=options.quantization,
        rank=options.rank,
        alpha=options.alpha,
        target_modules=_target_modules(options),
        max_tokens=options.max_tokens,
        seed=options.seed,
        gpu=processes.local_rank,
    )


def _target_modules(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(name.strip() for name in options.target_modules.split(",") if name.strip())


# ---------------------------------------------------------------- save


def _save(model: Any, outcome: dict[str, Any], out: Path, options: argparse.Namespace, run: RunLog) -> None:
    _save_adapter(model, out / "adapter", options)
    replace_text(out / "training.json", json.dumps(outcome, indent=1) + "\n")
    run.metrics({name: outcome[name] for name in ("seconds", "tokens_per_second", "peak_memory_mib")}, outcome["steps"])
    run.table("samples", outcome["samples"])
    run.artifacts(out / "adapter", "adapter")


def _save_adapter(model: Any, path: Path, options: argparse.Namespace) -> None:
    with replace_directory(path) as staging:
        model.save_pretrained(staging)
        config_path = staging / "adapter_config.json"
        config = json.loads(config_path.read_text(encoding="utf-8"))
        # vLLM's resolvers compare this with the server's --model, so it is the base exactly as it was named here.
        config["base_model_name_or_path"] = options.base
        config["target_modules"] = sorted(config["target_modules"])
        config_path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        card = f"LoRA of rank {options.rank} for `{options.base}`, by {options.method}. See training.json.\n"
        (staging / "README.md").write_text(card, encoding="utf-8")
        for file in staging.iterdir():
            file.chmod(0o644)  # safetensors writes 0600, and vLLM may run as another user
        check_adapter(staging, options.base, options.max_lora_rank)


def _outcome(options: argparse.Namespace, phases: Sequence[Phase], encoded: Encoded, plan: MemoryPlan) -> dict[str, Any]:
    steps = [entry for phase in phases for entry in phase.history if "loss" in entry]
    seconds = sum(phase.seconds for phase in phases)
    return {
        "steps": len(steps),
        "losses": [round(entry["loss"], 6) for entry in steps],
        "watched_losses": [
            {"step": entry["step"], "loss": round(entry["eval_loss"], 6)}
            for phase in phases
            for entry in phase.history
            if "eval_loss" in entry
        ],
        "rewards": [
            {name: round(value, 4) for name, value in entry.items() if name.startswith("reward")}
            for entry in steps
            if "reward" in entry
        ],
        "best_steps": {phase.name: phase.best_step for phase in phases},
        "seconds": round(seconds, 1),
        "tokens_per_second": round(sum(phase.tokens for phase in phases) / seconds) if seconds else 0,
        "peak_memory_mib": peak_memory_mib(),
        "resumed_from_step": sum(phase.resumed_from for phase in phases),
        "examples": len(encoded.rows),
        "examples_cut": encoded.cut,
        "examples_left_out": encoded.left_out,
        "memory_plan_mib": {name: round(size / 2**20) for name, size in plan.parts.items()},
        "recipe": recipe(options),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "trl")},
    }


# ---------------------------------------------------------------- command


def report_as_json(stage: str, done: int, total: int, **numbers: float) -> None:
    """Print one line of JSON, at once."""
    print(json.dumps({"stage": stage, "done": done, "total": total, **numbers}), flush=True)


def report_as_text(stage: str, done: int, total: int, **numbers: float) -> None:
    """Print one line for a person, at once."""
    print(f"{stage} {done}/{total}", *(f"{name} {value:.4g}" for name, value in numbers.items()), flush=True)


def report_nothing(stage: str, done: int, total: int, **numbers: float) -> None:
    """Print nothing: another process does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code (0, or as ``cia.errors`` says)."""
    options = parse_options(arguments)
    processes = Processes.of_environment()
    report = (report_as_json if options.json_progress else report_as_text) if processes.first else report_nothing
    limit_threads(options.threads)
    try:
        with sigterm_as_exit():
            choose_loader(processes)  # imports Unsloth, where it is, before what it alters
            quiet_libraries()
            outcome = fine_tune(options, report)
    except CiaError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    if processes.first and not options.json_progress:
        print(f"adapter in {options.out / 'adapter'}; loss {outcome['losses'][0]:.3f} -> {outcome['losses'][-1]:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
