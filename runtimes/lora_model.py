"""A base model with a fresh LoRA adapter on it, ready to train: by PEFT on any machine, by Unsloth on a CUDA GPU.

LoRA: Hu et al. 2021, arXiv:2106.09685. QLoRA (the base in 4-bit NormalFloat): Dettmers et al. 2023, arXiv:2305.14314.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cia.errors import InputError


@dataclass(frozen=True)
class LoraModelRequest:
    """Which base model, in which precision, and the shape of its adapter."""

    base: str
    quantization: Literal["none", "nf4"]
    rank: int
    alpha: int
    target_modules: tuple[str, ...]
    max_tokens: int
    seed: int


ModelLoader = Callable[[LoraModelRequest], tuple[Any, Any]]
"""Gives the model (a ``peft.PeftModel``) and its tokenizer."""


def choose_loader() -> ModelLoader:
    """Return the loader for this machine: Unsloth's where there is a CUDA GPU, else PEFT's."""
    import torch

    return load_with_unsloth if torch.cuda.is_available() else load_with_peft


def load_with_peft(request: LoraModelRequest) -> tuple[Any, Any]:
    """Return the model and tokenizer by transformers and PEFT. Raises InputError when the base cannot be loaded."""
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if Path(request.base).is_absolute() and not (Path(request.base) / "config.json").exists():
        raise InputError(f"{request.base} holds no model (no config.json); point --base at a Hugging Face model folder")
    try:
        tokenizer = AutoTokenizer.from_pretrained(request.base)
        model = AutoModelForCausalLM.from_pretrained(
            request.base, dtype=torch.float32, quantization_config=_quantization(request.quantization)
        )
    except (OSError, ValueError) as error:
        raise InputError(f"the base model {request.base} cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    _refuse_unknown_modules(model, request.target_modules)
    if request.quantization == "nf4":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    torch.manual_seed(request.seed)
    config = LoraConfig(
        r=request.rank,
        lora_alpha=request.alpha,
        target_modules=list(request.target_modules),
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config), tokenizer


def load_with_unsloth(request: LoraModelRequest) -> tuple[Any, Any]:
    """Return the model and tokenizer by Unsloth, whose kernels need about half of PEFT's GPU memory.

    Written against Unsloth's documented interface; it has not run yet, for want of a GPU.
    """
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(
        model_name=request.base,
        max_seq_length=request.max_tokens,
        dtype=None,
        load_in_4bit=request.quantization == "nf4",
    )
    _refuse_unknown_modules(model, request.target_modules)
    model = FastLanguageModel.get_peft_model(
        model,
        r=request.rank,
        lora_alpha=request.alpha,
        target_modules=list(request.target_modules),
        lora_dropout=0.0,
        bias="none",
        use_gradient_checkpointing="unsloth",
        random_state=request.seed,
    )
    return model, tokenizer


def _quantization(name: str) -> Any:
    if name == "none":
        return None
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    )


def _refuse_unknown_modules(model: Any, wanted: tuple[str, ...]) -> None:
    layers = {name.rpartition(".")[2] for name, module in model.named_modules() if type(module).__name__.startswith("Linear")}
    unknown = [name for name in wanted if name not in layers]
    if unknown:
        raise InputError(
            f"the base model has no layer called {', '.join(unknown)}; "
            f"training.target_modules may name {', '.join(sorted(layers))}"
        )
