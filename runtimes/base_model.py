"""The small language model that stands in for a large one where there is no GPU and no model hub.

A Llama of a few million parameters with its own tokenizer, pre-trained for about a minute on the indexed code, and saved as an
ordinary Hugging Face folder that transformers and vLLM load. It learns the look of the code, not to reason: it carries the
whole path (training, evaluation, serving) on a laptop, and that is all it claims.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cia.durable_files import exclusive, remove_unfinished, replace_directory
from cia.errors import InputError
from cia.progress import Progress, silent
from cia.settings import Settings
from runtimes.processor import limit_threads, native_bfloat16
from runtimes.quiet import quiet_libraries
from runtimes.tokenizer import train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

RECIPE = 1
"""Raised by hand when a change below makes another model from the same texts and settings."""

HEAD_DIMENSION = 64
"""vLLM's attention kernels for the CPU take head sizes that are multiples of 32; 64 is the most common."""

PEAK_LEARNING_RATE, WARM_UP_SHARE, FINAL_SHARE = 1e-3, 0.1, 0.1
"""AdamW's rate rises over the first tenth of the steps, then falls as a half cosine to a tenth of its peak."""

CONVERSATION_SHARE = 0.5
"""Of the windows, told as a dialogue (a user begins a text, the assistant carries on), so that the role marks mean something."""

RECIPE_FILE = "recipe.json"


@dataclass(frozen=True)
class BaseModel:
    """A saved model folder. ``digest`` names what it was made from; ``losses`` are nats per token, one a step."""

    path: Path
    digest: str
    parameters: int
    vocabulary: int
    tokens_seen: int
    seconds: float
    losses: tuple[float, ...]
    reused: bool = False


def make_base_model(texts: Sequence[str], directory: Path, settings: Settings, progress: Progress = silent) -> BaseModel:
    """Return the small model made from ``texts``, as a folder below ``directory`` named after their digest.

    The same texts (in any order) and settings reuse the folder. Raises InputError when the texts are too few for
    one training window, BusyError when another process has been making a model there for ten minutes.
    """
    texts = sorted({text for text in texts if text.strip()})
    if not texts:
        raise InputError("there is no text to make a base model from; index a repository first")
    digest = _digest(texts, settings)
    path = directory / f"base-{digest[:16]}"
    lock = directory / ".base-model.lock"
    with exclusive(lock, "making the base model", wait_seconds=600, on_wait=lambda sentence: progress(sentence, 0, 0)):
        remove_unfinished(directory)
        if (path / RECIPE_FILE).exists():
            return _read(path)
        with replace_directory(path) as staging:
            _make(texts, staging, digest, settings, progress)
    return _read(path, reused=False)


def _make(texts: list[str], staging: Path, digest: str, settings: Settings, progress: Progress) -> None:
    import torch

    quiet_libraries()
    limit_threads()
    training = settings.training
    started = time.perf_counter()
    progress("training the tokenizer", 0, 0)
    tokenizer = train_tokenizer(texts, training.base_vocabulary, settings.model.context_tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        windows = _windows(texts, tokenizer, training.base_tokens)
        model = _llama(tokenizer, settings)
        batches = _batches(windows, training.base_batch_size, training.seed)
        losses = _pretrain(model, batches, training.base_steps, progress)
    model.bfloat16().save_pretrained(staging)
    tokenizer.save_pretrained(staging)
    for file in staging.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, and vLLM may run as another user
    facts = {
        "digest": digest,
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "tokens_seen": training.base_steps * training.base_batch_size * training.base_tokens,
        "seconds": round(time.perf_counter() - started, 1),
        "losses": [round(loss, 4) for loss in losses],
    }
    (staging / "README.md").write_text(_model_card(facts, settings), encoding="utf-8")
    (staging / RECIPE_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _llama(tokenizer: PreTrainedTokenizerFast, settings: Settings) -> LlamaForCausalLM:
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    hidden = settings.training.base_hidden
    heads = hidden // HEAD_DIMENSION
    tokens = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=_multiple_of_64(hidden * 5 / 2),
        num_hidden_layers=settings.training.base_layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2) if heads % 2 == 0 else heads,
        head_dim=HEAD_DIMENSION,
        max_position_embeddings=settings.model.context_tokens,
        tie_word_embeddings=True,
        **tokens,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(max_new_tokens=settings.model.answer_tokens, **tokens)
    return model


def _windows(texts: list[str], tokenizer: PreTrainedTokenizerFast, length: int) -> torch.Tensor:
    """Return token ids [windows, length] (int64): the texts one after another, cut into equal windows."""
    import torch

    stream: list[int] = []
    for number, ids in enumerate(tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]):
        told_as_dialogue = number % round(1 / CONVERSATION_SHARE) == 0
        stream += _dialogue(ids, tokenizer, length) if told_as_dialogue else _document(ids, tokenizer)
    count = len(stream) // length
    if count == 0:
        raise InputError(f"the texts hold {len(stream)} tokens; the base model needs at least {length} (training.base_tokens)")
    return torch.tensor(stream[: count * length]).view(count, length)


def _document(ids: list[int], tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]


def _dialogue(ids: list[int], tokenizer: PreTrainedTokenizerFast, length: int) -> list[int]:
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    user = tokenizer("<|user|>\n", add_special_tokens=False)["input_ids"]
    assistant = tokenizer("<|assistant|>\n", add_special_tokens=False)["input_ids"]
    stream: list[int] = []
    for start in range(0, len(ids), length):
        part = ids[start : start + length]
        half = len(part) // 2
        stream += [begin, *user, *part[:half], end, *assistant, *part[half:], end]
    return stream


def _batches(windows: torch.Tensor, size: int, seed: int) -> Iterator[torch.Tensor]:
    """Yield batches [size, length] for ever; every window comes once before any comes again."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(0, dtype=torch.int64)
    while True:
        while len(order) < size:
            order = torch.cat([order, torch.randperm(len(windows), generator=generator)])
        yield windows[order[:size]]
        order = order[size:]


def _pretrain(model: LlamaForCausalLM, batches: Iterator[torch.Tensor], steps: int, progress: Progress) -> list[float]:
    import torch

    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate_share(steps))
    half_precision = native_bfloat16()
    losses: list[float] = []
    model.train()
    for step, batch in zip(range(steps), batches, strict=False):
        progress("pre-training the base model", step, steps)
        with torch.autocast("cpu", torch.bfloat16, enabled=half_precision):
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    progress("pre-training the base model", steps, steps)
    model.eval()
    return losses


def _rate_share(steps: int) -> Callable[[int], float]:
    import math

    warm_up = max(1, round(steps * WARM_UP_SHARE))

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = (step - warm_up) / max(1, steps - warm_up)
        return FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * done)) / 2

    return share


def _digest(texts: list[str], settings: Settings) -> str:
    recipe = {
        "recipe": RECIPE,
        "schedule": (PEAK_LEARNING_RATE, WARM_UP_SHARE, FINAL_SHARE),
        "conversation_share": CONVERSATION_SHARE,
        "context_tokens": settings.model.context_tokens,
        "answer_tokens": settings.model.answer_tokens,
        "seed": settings.training.seed,
        **{name: value for name, value in settings.training if name.startswith("base_") and name != "base_model"},
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return digest.hexdigest()


def _read(path: Path, reused: bool = True) -> BaseModel:
    facts: dict[str, Any] = json.loads((path / RECIPE_FILE).read_text(encoding="utf-8"))
    return BaseModel(path=path, reused=reused, **{**facts, "losses": tuple(facts["losses"])})


def _multiple_of_64(number: float) -> int:
    return max(64, round(number / 64) * 64)


def _model_card(facts: dict[str, Any], settings: Settings) -> str:
    training = settings.training
    return f"""---
library_name: transformers
pipeline_tag: text-generation
---
# {settings.model.base_model}

A Llama of {facts["parameters"]:,} parameters, made on this machine from the indexed code, to carry fine-tuning, evaluation and
serving where there is no GPU. It has seen {facts["tokens_seen"]:,} tokens. Do not expect it to reason.

| | |
|---|---|
| architecture | {training.base_layers} layers of width {training.base_hidden}, heads of {HEAD_DIMENSION}, tied embeddings |
| window | {settings.model.context_tokens} tokens; pre-trained on windows of {training.base_tokens} |
| tokenizer | byte-level BPE, {facts["vocabulary"]} tokens, single digits, chat template |
| data | the indexed files, {CONVERSATION_SHARE:.0%} of them told as dialogues; digest `{facts["digest"]}` |
| optimiser | AdamW, peak rate {PEAK_LEARNING_RATE}, seed {training.seed} |
| steps | {training.base_steps} of {training.base_batch_size} windows |
| loss | {facts["losses"][0]:.2f} at first, {facts["losses"][-1]:.2f} at last (nats per token) |
| time | {facts["seconds"]} s |

`recipe.json` holds the loss of every step.
"""
