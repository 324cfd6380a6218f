"""Fine-tune a code model with LoRA on question-answer examples, and leave an adapter that vLLM serves.

    python -m runtimes.fine_tune --examples examples.jsonl --base MODEL_FOLDER --out OUT
    python -m runtimes.fine_tune --examples examples.jsonl --base MODEL_FOLDER --out OUT --quantization nf4 --steps 500

An example is a line of JSON: {"messages": [{"role": "user", "content": "..."}], "completion": "the answer"}. The loss is on the
completion only. OUT gets ``adapter/`` (what vLLM loads) and ``training.json`` (what happened), each whole or not at all. Run the
same command again after a kill and it carries on from the last checkpoint. OMP_NUM_THREADS sets the threads (1 without it).

The story below: options, examples, model, tokens, loop, save.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import math
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cia.adapter import check_adapter
from cia.durable_files import exclusive, remove_unfinished, replace_directory, replace_text
from cia.errors import CiaError, InputError, OperationError
from runtimes.lora_model import LoraModelRequest, choose_loader
from runtimes.processor import limit_threads, native_bfloat16
from runtimes.quiet import quiet_libraries
from runtimes.run_log import RunLog, open_run_log

WARM_UP_SHARE = 0.05
"""Of the steps, in which the learning rate rises to its peak; then it falls as a half cosine."""

CHECKPOINTS_KEPT = 2
"""The last, and the one before it in case a kill cut the last one short."""

Report = Callable[..., None]
"""``report(stage, done, total, **numbers)``: how far the run is, for a person or for a parent process."""


# ---------------------------------------------------------------- options


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line. Every default is the laptop's."""
    parser = argparse.ArgumentParser(prog="python -m runtimes.fine_tune", description="Fine-tune a code model with LoRA.")
    files = parser.add_argument_group("files")
    files.add_argument("--examples", type=Path, required=True, help="JSON Lines of messages and completion")
    files.add_argument("--base", required=True, help="model folder, or a name that transformers resolves")
    files.add_argument("--out", type=Path, required=True, help="folder for adapter/ and training.json; checkpoints live here too")
    adapter = parser.add_argument_group("adapter")
    adapter.add_argument("--rank", type=int, default=8, help="LoRA rank")
    adapter.add_argument("--alpha", type=int, default=16, help="LoRA alpha; the update is scaled by alpha / rank")
    adapter.add_argument("--max-lora-rank", type=int, default=16, help="the largest rank that the server takes")
    adapter.add_argument(
        "--target-modules",
        default="q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
        help="layers that get an adapter, with commas between",
    )
    adapter.add_argument("--quantization", choices=["none", "nf4"], default="none", help="nf4 = QLoRA: the base in 4 bits")
    loop = parser.add_argument_group("training")
    loop.add_argument("--steps", type=int, default=60, help="optimiser steps")
    loop.add_argument("--batch-size", type=int, default=4, help="examples a step")
    loop.add_argument("--max-tokens", type=int, default=512, help="a longer example loses the start of its prompt")
    loop.add_argument(
        "--learning-rate", type=float, default=4e-3, help="peak rate; 4e-3 suits the small model, 2e-4 one of billions"
    )
    loop.add_argument("--seed", type=int, default=7, help="fixes the adapter's first weights and the order of examples")
    loop.add_argument("--checkpoint-steps", type=int, default=20, help="steps between checkpoints (0 = none, a kill starts over)")
    reports = parser.add_argument_group("reports")
    reports.add_argument("--mlflow-uri", default="", help='MLflow tracking address ("" = keep no run)')
    reports.add_argument("--artifact-folder", default="", help='a new experiment keeps its files here ("" = the server decides)')
    reports.add_argument("--experiment", default="code-assistant", help="MLflow experiment")
    reports.add_argument("--run-name", default="fine-tune", help="MLflow run name")
    reports.add_argument("--json-progress", action="store_true", help="progress as JSON Lines on stdout, for a parent process")
    return parser.parse_args(arguments)


def check_options(options: argparse.Namespace) -> None:
    """Raise InputError for what would only fail after the training: a rank that the server refuses, a count below one."""
    for name in ("rank", "alpha", "steps", "batch_size", "max_tokens"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be 1 or more")
    if options.rank > options.max_lora_rank:
        raise InputError(
            f"--rank is {options.rank}, above the {options.max_lora_rank} that vLLM accepts; "
            "lower training.rank or raise serving.max_lora_rank"
        )


# ---------------------------------------------------------------- examples


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation up to the question, and the answer to learn."""

    messages: list[dict[str, str]]
    completion: str


def read_examples(path: Path) -> list[Example]:
    """Return the examples of a JSON Lines file. Raises InputError that names the line which is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the examples cannot be read from {path}: {error}") from error
    examples = [_example(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not examples:
        raise InputError(f"{path} holds no examples; build the data set again and see its report")
    return examples


def _example(line: str, place: str) -> Example:
    try:
        content = json.loads(line)
        messages = [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in content["messages"]]
        completion = content["completion"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{place} is not {{"messages": [...], "completion": "..."}}: {type(error).__name__} {error}') from None
    if not messages or not isinstance(completion, str) or not completion.strip():
        raise InputError(f"{place} has no messages or an empty completion")
    return Example(messages, completion)


# ---------------------------------------------------------------- tokens


@dataclass(frozen=True)
class Encoded:
    """Rows of ``input_ids`` and ``completion_mask`` (1 where the loss is), and how many examples were cut or left out."""

    rows: list[dict[str, list[int]]]
    cut: int
    left_out: int


def encode(examples: Sequence[Example], tokenizer: Any, max_tokens: int) -> Encoded:
    """Return the examples as token ids of at most ``max_tokens``.

    The prompt is tokenised by itself, exactly as the server will, so that training and serving see the same
    ids. A long example loses the start of its prompt, for the question stands at the end; one whose completion alone is too
    long is left out. Raises InputError when none is left.
    """
    rows, cut, left_out = [], 0, 0
    for example in examples:
        prompt, completion = render(example, tokenizer)
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        completion_ids = tokenizer(completion, add_special_tokens=False)["input_ids"]
        room = max_tokens - len(completion_ids)
        if room < 1:
            left_out += 1
            continue
        cut += len(prompt_ids) > room
        prompt_ids = prompt_ids[-room:]
        mask = [0] * len(prompt_ids) + [1] * len(completion_ids)
        rows.append({"input_ids": prompt_ids + completion_ids, "completion_mask": mask})
    if not rows:
        raise InputError(f"every completion is longer than {max_tokens} tokens; raise training.max_tokens")
    return Encoded(rows, cut, left_out)


def render(example: Example, tokenizer: Any) -> tuple[str, str]:
    """Return the prompt and the completion as text: what the chat template makes of them, the end of the turn included."""
    answered = [*example.messages, {"role": "assistant", "content": example.completion}]
    prompt = tokenizer.apply_chat_template(example.messages, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(answered, tokenize=False)
    if not whole.startswith(prompt):
        raise InputError("the base model's chat template changes the prompt once an answer follows; choose another base model")
    return prompt, whole.removeprefix(prompt)


# ---------------------------------------------------------------- loop


def fine_tune(options: argparse.Namespace, report: Report) -> dict[str, Any]:
    """Train, save the adapter, and return what ``training.json`` holds. Raises CiaError."""
    check_options(options)
    examples = read_examples(options.examples)
    out: Path = options.out.absolute()
    with exclusive(out / ".lock", f"training into {out}"):
        remove_unfinished(out)
        report("loading the base model", 0, options.steps)
        model, tokenizer = choose_loader()(_model_request(options))
        encoded = encode(examples, tokenizer, options.max_tokens)
        checkpoint = _usable_checkpoint(out / "checkpoints", _identity(options))
        run = open_run_log(options.mlflow_uri, options.artifact_folder, options.experiment, options.run_name)
        with _recorded(run), _memory_errors():
            run.parameters(_recipe(options))
            trainer = _trainer(model, tokenizer, encoded, options, run, report)
            started = time.perf_counter()
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            seconds = time.perf_counter() - started
            report("saving the adapter", options.steps, options.steps)
            _save_adapter(model, out / "adapter", options)
            outcome = _outcome(trainer, options, encoded, checkpoint, seconds) | {"run_id": run.run_id}
            replace_text(out / "training.json", json.dumps(outcome, indent=1) + "\n")
            run.metrics({name: outcome[name] for name in ("seconds", "tokens_per_second", "peak_memory_mib")}, options.steps)
            run.artifacts(out / "adapter", "adapter")
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return outcome


def _trainer(model: Any, tokenizer: Any, encoded: Encoded, options: argparse.Namespace, run: RunLog, report: Report) -> Any:
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]

    config = SFTConfig(
        output_dir=str(options.out.absolute() / "checkpoints"),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(options.steps * WARM_UP_SHARE),
        max_length=None,
        completion_only_loss=True,
        bf16=native_bfloat16(),
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=torch.cuda.is_available(),
        seed=options.seed,
        data_seed=options.seed,
        save_strategy="steps" if options.checkpoint_steps else "no",
        save_steps=options.checkpoint_steps or options.steps,
        save_total_limit=CHECKPOINTS_KEPT,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = SFTTrainer(model, args=config, train_dataset=Dataset.from_list(encoded.rows), processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_teller(run, report))
    return trainer


def _teller(run: RunLog, report: Report) -> Any:
    """Return a callback that tells each step's loss to the run log and to the watcher."""
    from transformers import TrainerCallback

    class Teller(TrainerCallback):
        def on_log(self, *context: Any, **more: Any) -> None:
            _, state, _ = context
            logs = more["logs"]
            if "loss" in logs:
                numbers = {"loss": float(logs["loss"]), "learning_rate": float(logs["learning_rate"])}
                run.metrics(numbers, state.global_step)
                report("training", state.global_step, state.max_steps, **numbers)

    return Teller()


# ---------------------------------------------------------------- save


def _save_adapter(model: Any, path: Path, options: argparse.Namespace) -> None:
    with replace_directory(path) as staging:
        model.save_pretrained(staging)
        config_path = staging / "adapter_config.json"
        config = json.loads(config_path.read_text(encoding="utf-8"))
        # vLLM's resolvers compare this with the server's --model, so it is the base exactly as it was named here.
        config["base_model_name_or_path"] = options.base
        config["target_modules"] = sorted(config["target_modules"])
        config_path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        card = f"LoRA of rank {options.rank} for `{options.base}`, {options.steps} steps. See training.json.\n"
        (staging / "README.md").write_text(card, encoding="utf-8")
        for file in staging.iterdir():
            file.chmod(0o644)  # safetensors writes 0600, and vLLM may run as another user
        check_adapter(staging, options.base, options.max_lora_rank)


def _outcome(
    trainer: Any, options: argparse.Namespace, encoded: Encoded, checkpoint: Path | None, seconds: float
) -> dict[str, Any]:
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    resumed_from = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    tokens = sum(entry["num_tokens"] for entry in history[-1:])
    return {
        "steps": len(history),
        "losses": [round(float(entry["loss"]), 6) for entry in history],
        "seconds": round(seconds, 1),
        "tokens_per_second": round(tokens / seconds),
        "peak_memory_mib": _peak_memory_mib(),
        "resumed_from_step": resumed_from,
        "examples": len(encoded.rows),
        "examples_cut": encoded.cut,
        "examples_left_out": encoded.left_out,
        "recipe": _recipe(options),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "trl")},
    }


def _peak_memory_mib() -> int:
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)


def _recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Return everything that decides what the adapter becomes."""
    names = ("base", "rank", "alpha", "target_modules", "quantization", "steps", "batch_size", "max_tokens")
    recipe = {name: getattr(options, name) for name in (*names, "learning_rate", "seed")}
    return recipe | {"data_sha256": hashlib.sha256(options.examples.read_bytes()).hexdigest()}


def _model_request(options: argparse.Namespace) -> LoraModelRequest:
    return LoraModelRequest(
        base=options.base,
        quantization=options.quantization,
        rank=options.rank,
        alpha=options.alpha,
        target_modules=tuple(name.strip() for name in options.target_modules.split(",") if name.strip()),
        max_tokens=options.max_tokens,
        seed=options.seed,
    )


# ---------------------------------------------------------------- kills and failures


def _identity(options: argparse.Namespace) -> str:
    return hashlib.sha256(json.dumps(_recipe(options), sort_keys=True).encode()).hexdigest()


def _usable_checkpoint(directory: Path, identity: str) -> Path | None:
    """Return the newest whole checkpoint of this very recipe; remove every other one."""
    marker = directory / "recipe.sha256"
    if not marker.exists() or marker.read_text(encoding="utf-8") != identity:
        shutil.rmtree(directory, ignore_errors=True)
        replace_text(marker, identity)
        return None
    newest_first = sorted(directory.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in newest_first:
        if _is_whole(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def _is_whole(checkpoint: Path) -> bool:
    # transformers writes trainer_state.json last, so a checkpoint in which it parses has everything else.
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _recorded(run: RunLog) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
            raise OperationError(
                "the memory does not hold this training; lower training.batch_size or training.max_tokens, "
                "or set training.quantization to nf4"
            ) from error
        raise


# ---------------------------------------------------------------- command


def report_as_json(stage: str, done: int, total: int, **numbers: float) -> None:
    """Print one line of JSON, at once."""
    print(json.dumps({"stage": stage, "done": done, "total": total, **numbers}), flush=True)


def report_as_text(stage: str, done: int, total: int, **numbers: float) -> None:
    """Print one line for a person, at once."""
    print(f"{stage} {done}/{total}", *(f"{name} {value:.4g}" for name, value in numbers.items()), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code (0, or as ``cia.errors`` says)."""
    options = parse_options(arguments)
    report = report_as_json if options.json_progress else report_as_text
    quiet_libraries()
    limit_threads()
    try:
        outcome = fine_tune(options, report)
    except CiaError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    if not options.json_progress:
        print(f"adapter in {options.out / 'adapter'}; loss {outcome['losses'][0]:.3f} -> {outcome['losses'][-1]:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
