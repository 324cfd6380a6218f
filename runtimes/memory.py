"""How much memory a training needs, reckoned from the model's configuration before anything is loaded.

Weights in 4 bits: Dettmers et al. 2023 (QLoRA, arXiv:2305.14314), section 3. Adapter and Adam: Hu et al. 2021 (LoRA,
arXiv:2106.09685); Rajbhandari et al. 2020 (ZeRO, arXiv:1910.02054), section 3.1. Activations: what autograd keeps of a Llama
layer, counted as Korthikanti et al. 2022 (arXiv:2205.05198), section 4.1, count those of a GPT layer.
``docs/fine-tuning.md`` compares the reckoning with measured peaks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cia.errors import InputError
from runtimes.model_shape import ModelShape

GIB = 2**30

PROFILES = {"laptop": 6 * GIB, "4GB": 4 * GIB, "24GB": 24 * GIB}
"""``laptop``: what eight GiB of main memory leave beside a desktop. The others: a GPU of that size."""

USABLE_SHARE = 0.92
"""Of the memory; the rest goes to what allocators round up and cannot use."""

LIBRARIES = {"cpu": int(0.75 * GIB), "cuda": int(0.6 * GIB)}
"""Measured: the process with PyTorch, transformers, PEFT and TRL loaded; on a GPU, its context and kernels."""

NF4_BYTES = 0.5 + 0.127 / 8
"""Of a parameter: 4 bits, and 0.127 bits for its share of the doubly quantised constants (QLoRA, section 3)."""

ADAM_BYTES = 16
"""Of a trained parameter in float32: itself, its gradient and Adam's two moments (ZeRO, section 3.1)."""


@dataclass(frozen=True)
class Training:
    """What decides the need. ``batch`` counts the sequences of a step in one process, ``tokens`` the longest of them.

    ``sampled`` is how many answers are sampled at once, 0 without GRPO.
    """

    device: Literal["cpu", "cuda"]
    nf4: bool
    bfloat16: bool
    rank: int
    target_modules: tuple[str, ...]
    batch: int
    tokens: int
    completion_tokens: int
    sampled: int = 0


@dataclass(frozen=True)
class MemoryPlan:
    """How a step's batch is computed so that it fits. ``parts`` names each need in bytes; ``limit`` is in bytes."""

    parts: dict[str, int]
    limit: int
    limit_name: str
    accumulation: int
    checkpointing: bool

    @property
    def needed(self) -> int:
        """Bytes at the peak."""
        return sum(self.parts.values())

    def table(self) -> str:
        """Return the needs as lines of text."""
        rows = [*self.parts.items(), ("needed at the peak", self.needed), (f"of {self.limit_name}", self.limit)]
        lines = [f"{name:<24}{size / 2**20:>12,.0f} MiB" for name, size in rows]
        how = f"each step in {self.accumulation} part{'s' * (self.accumulation > 1)}"
        return "\n".join([*lines, f"{how}, activations {'computed twice' if self.checkpointing else 'kept'}"])


def plan_memory(
    shape: ModelShape, training: Training, limit: int, limit_name: str, accumulation: int = 0, checkpointing: bool | None = None
) -> MemoryPlan:
    """Return the fastest way to compute a step that fits into ``limit`` bytes.

    The batch is cut into more parts before activations are computed twice: parts cost little, the second
    computation a third of the speed (Chen et al. 2016, arXiv:1604.06174). ``accumulation`` (0: free) and ``checkpointing``
    (None: free) fix either. Raises InputError that names the setting to change when nothing fits.
    """
    least: MemoryPlan | None = None
    for plan in _ways(shape, training, limit, limit_name, accumulation, checkpointing):
        if plan.needed <= limit * USABLE_SHARE:
            return plan
        if least is None or plan.needed < least.needed:
            least = plan
    assert least is not None
    raise InputError(
        f"this training needs {least.needed / GIB:.1f} GiB at the least, and {limit_name} has {limit / GIB:.1f}; "
        f"{_remedy(shape, training, limit, accumulation, checkpointing)}"
    )


def _ways(
    shape: ModelShape, training: Training, limit: int, limit_name: str, accumulation: int, checkpointing: bool | None
) -> Iterator[MemoryPlan]:
    cuts = [accumulation] if accumulation else [n for n in range(1, training.batch + 1) if training.batch % n == 0]
    for twice in (False, True) if checkpointing is None else (checkpointing,):
        for cut in cuts:
            parts = needs(shape, training, max(1, training.batch // cut), twice)
            yield MemoryPlan(parts, limit, limit_name, cut, twice)


def needs(shape: ModelShape, training: Training, sequences: int, checkpointing: bool) -> dict[str, int]:
    """Return the bytes that each part of the training takes when ``sequences`` are computed at once."""
    linear, other = shape.linear_parameters, shape.other_parameters
    plain = 4 if training.device == "cpu" else 2
    adapter = shape.lora_parameters(training.rank, training.target_modules)
    tokens = sequences * training.tokens
    # A completion ends somewhere else in each sequence, and logits are computed at every place where one of them has a token.
    columns = min(training.tokens, sequences * training.completion_tokens)
    layer = _layer_bytes(shape, training) * tokens
    kept = shape.layers * shape.hidden * plain * tokens + layer if checkpointing else shape.layers * layer
    casts = 2 * linear if training.bfloat16 and plain == 4 and not training.nf4 else 0
    parts = {
        "libraries": LIBRARIES[training.device],
        "base model": int(linear * (NF4_BYTES if training.nf4 else plain) + other * plain),
        "adapter, gradients, Adam": ADAM_BYTES * adapter,
        "activations": int(kept + casts + _backward_bytes(shape, training, tokens)),
        "logits": int(sequences * columns * shape.vocabulary * 14),  # in 2 and 4 bytes, their logarithms and their gradient
    }
    if training.sampled:
        cache = 2 * shape.key_value_heads * shape.head * shape.layers * plain
        parts["sampled answers"] = training.sampled * (training.tokens + training.completion_tokens) * cache
    return parts


def _layer_bytes(shape: ModelShape, training: Training) -> float:
    """Bytes that autograd keeps for each token of a layer."""
    width = 2 if training.bfloat16 else 4
    norms = 2 * shape.hidden * 4
    attention = (2 * shape.heads + 2 * shape.key_value_heads) * shape.head * width
    feed_forward = 3 * shape.inner * width
    inputs = {name: sizes[0] for name, sizes in shape.modules().items()}
    # Each adapted layer keeps its own copy of its input, and what the adapter's first matrix makes of it.
    adapted = sum((inputs[name] + training.rank) * width for name in training.target_modules if name in inputs)
    return norms + attention + feed_forward + adapted


def _backward_bytes(shape: ModelShape, training: Training, tokens: int) -> float:
    """Bytes of gradients under way in one layer, and of the one weight that is unpacked from 4 bits at a time."""
    width = 2 if training.bfloat16 else 4
    unpacked = max(shape.hidden * shape.inner, shape.hidden * shape.hidden) * width if training.nf4 else 0
    return tokens * (2 * shape.hidden * 4 + 3 * shape.inner * width) + unpacked


def _remedy(shape: ModelShape, training: Training, limit: int, accumulation: int, checkpointing: bool | None) -> str:
    """Return which setting to change: the first single change with which it fits."""
    shorter = [training.tokens // divisor for divisor in (2, 4, 8)]
    changes: list[tuple[str, Training, int, bool | None]] = [
        ("set training.gradient_accumulation and training.gradient_checkpointing to null", training, 0, None),
        ("set training.quantization to nf4", dataclasses.replace(training, nf4=True), 0, None),
        *((f"lower training.max_tokens to {n}", dataclasses.replace(training, tokens=n), 0, None) for n in shorter),
        ("lower training.rank to 4", dataclasses.replace(training, rank=4), 0, None),
        ("lower training.grpo.answers", dataclasses.replace(training, sampled=training.sampled // 4), 0, None),
    ]
    for remedy, changed, cut, twice in changes:
        if (changed, cut, twice) != (training, accumulation, checkpointing) and any(
            plan.needed <= limit * USABLE_SHARE for plan in _ways(shape, changed, limit, "", cut, twice)
        ):
            return remedy
    return "choose a smaller model in training.base_model, or a larger training.memory"
