"""A base model with a fresh LoRA adapter on it, ready to train: by PEFT on any machine, by Unsloth on a CUDA GPU.

LoRA: Hu et al. 2021, arXiv:2106.09685. QLoRA (the base in 4-bit NormalFloat): Dettmers et al. 2023, arXiv:2305.14314.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cia.adapter import WEIGHTS
from cia.errors import InputError
from runtimes.model_shape import ModelShape
from runtimes.processes import Processes


@dataclass(frozen=True)
class LoraModelRequest:
    """Which base model, in which precision, the shape of its adapter, and the number of the GPU, where there is one."""

    base: str
    quantization: Literal["none", "nf4"]
    rank: int
    alpha: int
    target_modules: tuple[str, ...]
    max_tokens: int
    seed: int
    gpu: int = 0


ModelLoader = Callable[[LoraModelRequest], tuple[Any, Any]]
"""Gives the model (a ``peft.PeftModel``) and its tokenizer."""


def unsloth_is_at_hand(processes: Processes) -> bool:
    """Whether Unsloth loads the model: on one CUDA GPU, where it is installed. It trains on a single GPU."""
    import torch

    return processes.count == 1 and torch.cuda.is_available() and importlib.util.find_spec("unsloth") is not None


def choose_loader(processes: Processes) -> ModelLoader:
    """Return the loader for this machine; call it before anything imports transformers or trl, which Unsloth alters."""
    if not unsloth_is_at_hand(processes):
        return load_with_peft
    import unsloth  # noqa: F401

    return load_with_unsloth


def load_tokenizer(base: str) -> tuple[Any, ModelShape | None]:
    """Return the base's tokenizer and the sizes of its model, loading no weights. Raises InputError without such a base."""
    from transformers import AutoConfig, AutoTokenizer

    if Path(base).is_absolute() and not (Path(base) / "config.json").exists():
        raise InputError(f"{base} holds no model (no config.json); point --base at a Hugging Face model folder")
    try:
        return AutoTokenizer.from_pretrained(base), ModelShape.of(AutoConfig.from_pretrained(base))
    except (OSError, ValueError) as error:
        raise _not_loadable(base, error) from error


def load_with_peft(request: LoraModelRequest) -> tuple[Any, Any]:
    """Return the model and tokenizer by transformers and PEFT. Raises InputError when the base cannot be loaded."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    tokenizer, _ = load_tokenizer(request.base)
    gpu = torch.cuda.is_available()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            request.base,
            dtype=torch.bfloat16 if gpu else torch.float32,
            quantization_config=_quantization(request.quantization),
            device_map={"": request.gpu} if gpu else None,
        )
    except (OSError, ValueError) as error:
        raise _not_loadable(request.base, error) from error
    _refuse_unknown_modules(model, request.target_modules)
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

    Written against Unsloth's documented interface; untried, for want of a GPU.
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


def load_adapter(model: Any, folder: Path) -> None:
    """Give ``model`` the weights of the adapter in ``folder``. Raises InputError when they are not of its shape."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    try:
        result = set_peft_model_state_dict(model, load_file(folder / WEIGHTS))
    except (OSError, RuntimeError) as error:
        raise InputError(f"the adapter in {folder} is not one of this rank and base: {str(error).splitlines()[0]}") from error
    if result.unexpected_keys:
        raise InputError(f"the adapter in {folder} changes layers that training.target_modules does not name")


def _not_loadable(base: str, error: Exception) -> InputError:
    return InputError(f"the base model {base} cannot be loaded: {str(error).strip().splitlines()[0]}")


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
