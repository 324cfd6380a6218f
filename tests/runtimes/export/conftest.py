"""Two small models whose every layer matters, since their weights are large, and an adapter that moves each of its layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtimes.lora_model import LoraModelRequest, load_with_peft
from runtimes.processor import limit_threads
from runtimes.tokenizer import train_tokenizer

ALL_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

SaveModel = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    limit_threads()


@pytest.fixture(scope="session")
def tokenizer(texts: list[str]) -> Any:
    """The project's own kind of tokenizer."""
    return train_tokenizer(texts, 1024, context_tokens=512)


@pytest.fixture(scope="session")
def save_model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> SaveModel:
    """Save a model of random weights; keywords change its configuration."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def save(**changes: Any) -> Path:
        torch.manual_seed(7)
        shape = {
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 192,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "initializer_range": 0.1,
            "max_position_embeddings": 512,
        }
        tokens = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        folder = tmp_path_factory.mktemp("model")
        LlamaForCausalLM(LlamaConfig(**{**shape, **tokens, **changes})).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session", params=[True, False], ids=["tied", "untied"])
def folder(request: pytest.FixtureRequest, save_model: SaveModel) -> Path:
    """A model whose output weights are its embeddings, and one that has its own."""
    return save_model(tie_word_embeddings=request.param)


@pytest.fixture(scope="session")
def base_folder(save_model: SaveModel) -> Path:
    """The model that ``adapter`` belongs to."""
    return save_model()


@pytest.fixture(scope="session")
def adapter(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter whose weights change every answer."""
    import torch

    model, _ = load_with_peft(LoraModelRequest(str(base_folder), "none", 4, 8, ALL_MODULES, 128, seed=7))
    torch.manual_seed(11)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.03)
    folder = tmp_path_factory.mktemp("adapters") / "moving"
    model.save_pretrained(folder)
    return folder
