"""One system in a process of its own: a job as JSON on stdin, what was measured as JSON on stdout."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

REPEATS = 10
"""Of the speed, after one that is not counted. The fastest counts: what else runs only slows (``timeit``'s advice)."""

Engine = Literal["llama.cpp", "transformers", "int8", "nf4"]


@dataclass(frozen=True, slots=True)
class Job:
    """``path`` is a GGUF file or a Hugging Face folder; ``windows`` and ``prompt`` are token ids. int8 and nf4 need a GPU."""

    engine: Engine
    path: str
    windows: list[list[int]]
    prompt: list[int]
    new_tokens: int
    threads: int
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Measured:
    """Memory in MB beyond the libraries', tokens a second, and the mean loss of each window in nats a token."""

    memory_megabytes: float
    prompt_rate: float
    rate: float
    losses: list[float]


def scored(window: Sequence[int]) -> int:
    """Return where the scored half of a window begins.

    llama.cpp's perplexity (``tools/perplexity``): windows side by side, each begun anew; the first half is context alone.
    """
    return len(window) // 2


def measure(job: Job) -> Measured:
    """Load, time and score what ``job`` names."""
    return measure_llama_cpp(job) if job.engine == "llama.cpp" else measure_transformers(job)


def measure_llama_cpp(job: Job) -> Measured:
    """Measure a GGUF file in llama.cpp."""
    import xllamacpp  # noqa: F401 - its own memory is not the model's

    from runtimes.export.llama_cpp import LlamaCpp

    before = _resident()
    longest = max(len(job.prompt) + job.new_tokens, *map(len, job.windows))
    llama = LlamaCpp(Path(job.path), longest + 1, job.threads)
    runs = [llama.generate(job.prompt, job.new_tokens) for _ in range(REPEATS + 1)][1:]
    memory = _resident() - before
    losses = [-statistics.fmean(llama.log_probabilities(each[: scored(each)], each[scored(each) :])) for each in job.windows]
    llama.close()
    rates = [max(rates) for rates in zip(*((run.prompt_rate, run.rate) for run in runs), strict=True)]
    return Measured(memory, rates[0], rates[1], losses)


def measure_transformers(job: Job) -> Measured:
    """Measure a folder in transformers: bf16, or through bitsandbytes in 8 or 4 bits. The bitsandbytes rows have not run yet."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from runtimes.quiet import quiet_libraries

    quiet_libraries()
    torch.set_num_threads(job.threads)
    quantization = {
        "transformers": None,
        "int8": BitsAndBytesConfig(load_in_8bit=True),
        "nf4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16),
    }[job.engine]
    before = _resident()
    model = AutoModelForCausalLM.from_pretrained(
        job.path, dtype=torch.bfloat16, quantization_config=quantization, device_map=job.device if quantization else None
    ).eval()
    model = model if quantization else model.to(job.device)
    with torch.inference_mode():
        runs = [_generate(model, job) for _ in range(REPEATS + 1)][1:]
        on_gpu = job.device != "cpu"
        memory = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else _resident() - before
        losses = [_loss(model, window, job.device) for window in job.windows]
    rates = [max(rates) for rates in zip(*runs, strict=True)]
    return Measured(memory, rates[0], rates[1], losses)


def _generate(model: Any, job: Job) -> tuple[float, float]:
    """Return tokens a second of the prompt and of greedy generation after it."""
    import torch

    finish: Callable[[], None] = torch.cuda.synchronize if job.device != "cpu" else lambda: None
    started = time.perf_counter()
    answer = model(input_ids=torch.tensor([job.prompt], device=job.device), use_cache=True, logits_to_keep=1)
    finish()
    read = time.perf_counter()
    for _ in range(job.new_tokens):
        token = answer.logits[:, -1].argmax(-1, keepdim=True)
        answer = model(input_ids=token, past_key_values=answer.past_key_values, use_cache=True)
    finish()
    return len(job.prompt) / (read - started), job.new_tokens / (time.perf_counter() - read)


def _loss(model: Any, window: Sequence[int], device: str) -> float:
    import torch

    first = scored(window)
    ids = torch.tensor(window, device=device)
    logits = model(input_ids=ids[None]).logits[0, first - 1 : -1].float()
    return float(torch.nn.functional.cross_entropy(logits, ids[first:]))


def _resident() -> float:
    """Return the resident memory of this process, pages of mapped files included, in MB (``proc_pid_status(5)``)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Job(**json.load(sys.stdin))))))
