"""Size, memory, speed and perplexity of a model in 16, 8 and 4 bits: ``python -m benchmarks.quantization``.

    python -m benchmarks.quantization                          # the small model that the project ships
    python -m benchmarks.quantization --model ~/models/mine    # a Llama-architecture folder that runtimes/export converts

llama.cpp on the CPU with f16, q8_0 and q4_0, transformers in bf16 beside it in the same run; on a CUDA GPU also transformers in
bf16, int8 and nf4 (bitsandbytes), which has not run yet. Each row is a process of its own. The text is code that the small model
never saw; losses are nats a token.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.quantization.measure import Job, Measured
from cia.corpus import Corpus, decode
from cia.errors import CiaError, InputError, OperationError
from cia.evaluation.bootstrap import paired_interval
from cia.settings import load_settings
from runtimes.base_model import shipped_base
from runtimes.export.gguf_file import QUANTIZATIONS, write_gguf
from runtimes.export.merging import load_model

HELD_OUT = "pypi:celery==5.7.0"
SEED = 7
ROW = "| {} | {} | {} | {} | {} | {} | {} | {} |"
HEADINGS = (
    "",
    "MB on disk",
    "bits a weight",
    "MB in memory",
    "prompt tokens/s",
    "generated tokens/s",
    "perplexity",
    "loss over bf16 [95%]",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing, measure, print; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        model = options.model or shipped_base()
        with tempfile.TemporaryDirectory(prefix="quantization-") as scratch:
            _measure_and_print(model, Corpus(settings), Path(scratch), options)
    except CiaError as error:
        print(f"benchmarks.quantization: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _texts(corpus: Corpus, source: str) -> list[str]:
    snapshot = corpus.add(source)
    return [decode(snapshot.read_bytes(file.path)) for file in snapshot.files]


def _measure_and_print(folder: Path, corpus: Corpus, scratch: Path, options: argparse.Namespace) -> None:
    model, tokenizer = load_model(folder)
    windows = held_out_windows(_texts(corpus, options.held_out), tokenizer, options.window, options.windows)
    prompt = [token for window in windows for token in window][: options.prompt_tokens]
    weights = model.num_parameters()
    files = {quantization: scratch / f"{quantization}.gguf" for quantization in QUANTIZATIONS}
    for quantization, path in files.items():
        write_gguf(model, tokenizer, path, quantization, folder.name)
    del model
    job = Job("transformers", str(folder), windows, prompt, options.new_tokens, options.threads)
    print(
        f"{folder.name}, {weights:,} parameters; {len(windows)} windows of {options.window} tokens from {options.held_out}; "
        f"a prompt of {len(prompt)} tokens, {options.new_tokens} after it; threads: {options.threads}\n"
    )
    print(ROW.format(*HEADINGS), "|---|" + "--:|" * (len(HEADINGS) - 1), sep="\n", flush=True)
    peer: Measured | None = None
    for name, path, one in _jobs(job, folder, files):
        measured = _in_a_process(name, one)
        peer = peer or measured
        print(_row(name, path, weights, measured, peer), flush=True)


def held_out_windows(texts: Sequence[str], tokenizer: Any, length: int, count: int) -> list[list[int]]:
    """Return ``count`` windows of token ids, each begun as the tokenizer begins a text; from ASCII texts in a random order.

    ASCII, since llama.cpp reports no probability for half a character. Raises InputError when the texts are too short.
    """
    beginning = tokenizer("")["input_ids"]
    body = length - len(beginning)
    stream: list[int] = []
    order = sorted({text for text in texts if text.isascii()})
    random.Random(SEED).shuffle(order)
    for text in order:
        stream += tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if len(stream) >= body * count:
            return [beginning + stream[start : start + body] for start in range(0, body * count, body)]
    raise InputError(f"the held-out text holds {len(stream)} tokens, {body * count} are asked for; choose fewer --windows")


def _jobs(job: Job, folder: Path, files: dict[str, Path]) -> Iterator[tuple[str, Path | None, Job]]:
    """Yield name, files on disk (None: quantised while loading) and job of each row; the others are held against the first."""
    import torch

    yield "transformers bf16", folder, job
    for quantization, path in files.items():
        yield f"llama.cpp {quantization}", path, replace(job, engine="llama.cpp", path=str(path))
    if torch.cuda.is_available():
        yield "GPU: transformers bf16", folder, replace(job, device="cuda")
        yield "GPU: bitsandbytes int8", None, replace(job, engine="int8", device="cuda")
        yield "GPU: bitsandbytes nf4", None, replace(job, engine="nf4", device="cuda")


def _in_a_process(name: str, job: Job) -> Measured:
    command = [sys.executable, "-m", "benchmarks.quantization.measure"]
    done = subprocess.run(command, input=json.dumps(asdict(job)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise OperationError(f"{name} failed: {(done.stderr.strip().splitlines() or ['it was killed'])[-1]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _row(name: str, path: Path | None, weights: int, measured: Measured, peer: Measured) -> str:
    size = _bytes_of_model(path) if path else None
    difference = paired_interval([mine - theirs for mine, theirs in zip(measured.losses, peer.losses, strict=True)])
    return ROW.format(
        name,
        f"{size / 1e6:.1f}" if size else "",
        f"{size * 8 / weights:.1f}" if size else "",
        f"{measured.memory_megabytes:.0f}",
        f"{measured.prompt_rate:,.0f}",
        f"{measured.rate:,.0f}",
        f"{math.exp(statistics.fmean(measured.losses)):.2f}",
        "" if measured is peer else f"{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]",
    )


def _bytes_of_model(path: Path) -> int:
    files = [path] if path.is_file() else [*path.glob("*.safetensors"), *path.glob("tokenizer*.json")]
    return sum(file.stat().st_size for file in files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantization", description="A model in 16, 8 and 4 bits.")
    parser.add_argument("--model", type=Path, help="a Llama-architecture folder (default: the small model, made if need be)")
    parser.add_argument("--held-out", default=HELD_OUT, help="what `cia index` takes (default: %(default)s)")
    parser.add_argument("--window", type=int, default=256, help="tokens; the second half is scored (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=32, help="how many (default: %(default)s)")
    parser.add_argument("--prompt-tokens", type=int, default=512, help="for the speed (default: %(default)s)")
    parser.add_argument("--new-tokens", type=int, default=128, help="for the speed (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of every engine (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
