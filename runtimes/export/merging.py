"""An adapter merged into its base: W + (alpha / r) B A for every layer that it changes (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cia.errors import InputError, OperationError
from runtimes.quiet import quiet_libraries

if TYPE_CHECKING:
    import torch

Precision = Literal["bf16", "f16"]

LARGEST_LOGIT_CHANGE = 1e-3
"""Merged in fp32 against base and adapter side by side. The order of additions is all that differs."""

LARGEST_DIVERGENCE = 1e-3
"""Nats a token, of the saved model from base and adapter: what rounding to 16 bits may cost."""

SHARD = "4GB"

PROBE = """def total(prices: dict[str, float], taxed=True) -> float:
\t\"\"\"Add the prices up, with 19 % on top.\"\"\"
    return round(sum(prices.values()) * (1.19 if taxed else 1), 2)

What does total({"bread": 4.5}) return:  5.36, or does it raise?
"""
"""The prompt of every check: code and prose. In ASCII, since llama.cpp reports no probability for half a character."""


@dataclass(frozen=True)
class MergedModel:
    """A transformers model in fp32, its tokenizer, what base and adapter said to the probe (logits [tokens, vocabulary]),
    and the largest change of a logit by the merge.
    """

    model: Any
    tokenizer: Any
    probe_ids: torch.Tensor
    expected_logits: torch.Tensor
    logit_change: float


def load_model(folder: str | Path) -> tuple[Any, Any]:
    """Return the model of ``folder`` in fp32 and its tokenizer.

    Raises InputError when there is none, or when its weights are quantised: what is merged into those is rounded again.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_libraries()
    config = load_config(folder)
    if getattr(config, "quantization_config", None):
        raise InputError(f"the weights in {folder} are quantised; merging needs the base in 16 or 32 bits")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    return model.eval(), tokenizer


def load_config(folder: str | Path) -> Any:
    """Return the transformers configuration. Raises InputError when there is none."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error


def merge(adapter: Path, base: str | Path) -> MergedModel:
    """Return ``base`` (a folder or a hub name) with ``adapter`` in its weights. Takes 4 bytes of memory a parameter.

    Raises InputError as ``load_model`` does, and OperationError when the merged model does not say what base and adapter
    say side by side, to within LARGEST_LOGIT_CHANGE.
    """
    import torch

    quiet_libraries()  # before peft, which loads bitsandbytes, which has opinions
    from peft import PeftModel

    model, tokenizer = load_model(base)
    probe_ids = torch.tensor(tokenizer(PROBE)["input_ids"])
    side_by_side = PeftModel.from_pretrained(model, adapter).eval()
    expected = logits(side_by_side, probe_ids)
    merged = side_by_side.merge_and_unload()
    change = float((logits(merged, probe_ids) - expected).abs().max())
    if not change <= LARGEST_LOGIT_CHANGE:
        raise OperationError(
            f"merging {adapter} moved a logit by {change:.2g} ({LARGEST_LOGIT_CHANGE} are allowed); do not use it"
        )
    return MergedModel(merged, tokenizer, probe_ids, expected, change)


def save_merged(merged: MergedModel, folder: Path, precision: Precision) -> float:
    """Save weights of 16 bits (in shards of 4 GB), tokenizer and chat template into ``folder``; rounds ``merged`` as well.
    Takes 6 bytes of memory a parameter, since what was saved is loaded again.

    Returns how far the saved model is from base and adapter, in nats a token on the probe. Raises OperationError when that is
    more than LARGEST_DIVERGENCE, or a weight does not fit into fp16.
    """
    import torch

    dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[precision]
    _refuse_overflow(merged.model, dtype)
    with _full_disk_is_an_os_error():
        merged.model.to(dtype).save_pretrained(folder, max_shard_size=SHARD)
        merged.tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, and a server may run as another user
    divergence = divergence_of(merged.expected_logits, logits(load_model(folder)[0], merged.probe_ids))
    if not divergence <= LARGEST_DIVERGENCE:
        raise OperationError(
            f"rounded to {precision} the model is {divergence:.2g} nats a token from base and adapter "
            f"({LARGEST_DIVERGENCE} are allowed); choose the other 16-bit format"
        )
    return divergence


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Return the logits [tokens, vocabulary] (float32) that ``model`` gives to one sequence of ids [tokens]."""
    import torch

    with torch.inference_mode():
        answer: torch.Tensor = model(input_ids=ids[None]).logits[0].float()
    return answer


def divergence_of(expected: torch.Tensor, found: torch.Tensor) -> float:
    """Return the mean Kullback-Leibler divergence of the next token's distribution, in nats, from ``expected`` to ``found``."""
    from torch.nn.functional import kl_div, log_softmax

    mean = kl_div(log_softmax(found, -1), log_softmax(expected, -1), log_target=True, reduction="batchmean")
    return max(0.0, float(mean))  # rounding alone makes it negative


def _refuse_overflow(model: Any, dtype: torch.dtype) -> None:
    import torch

    largest = torch.finfo(dtype).max
    for name, weights in model.named_parameters():
        if not float(weights.abs().max()) <= largest:
            raise OperationError(f"{name} has weights beyond {largest:g}, which fp16 does not hold; choose bf16")


@contextlib.contextmanager
def _full_disk_is_an_os_error() -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        for code in (errno.ENOSPC, errno.EDQUOT):
            if f"os error {code}" in str(error) or os.strerror(code) in str(error):
                raise OSError(code, os.strerror(code)) from error
        raise


def _unreadable(folder: str | Path, error: Exception) -> InputError:
    return InputError(f"the model {folder} cannot be loaded: {str(error).strip().splitlines()[0]}")
