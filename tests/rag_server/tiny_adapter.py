"""Random LoRA adapters for whatever base model lies in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

RANK = 4


def make_base(folder: Path) -> Path:
    """Write a folder that has the files of a base model of one layer, which nothing here runs."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    save_file({"model.layers.0.self_attn.q_proj.weight": np.ones((16, 16), np.float32)}, folder / "model.safetensors")
    return folder


def make_adapter(folder: Path, base: Path, seed: int = 0) -> Path:
    """Write an adapter on the query projections of ``base``, different for each ``seed``."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    with safe_open(base / "model.safetensors", "numpy") as weights:
        for name in weights.keys():  # noqa: SIM118  (a file, not a dict)
            if name.endswith("q_proj.weight"):
                outputs, inputs = weights.get_slice(name).get_shape()
                module = f"base_model.model.{name.removesuffix('.weight')}"
                tensors[f"{module}.lora_A.weight"] = random.normal(size=(RANK, inputs)).astype(np.float32)
                tensors[f"{module}.lora_B.weight"] = random.normal(size=(outputs, RANK)).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": ["q_proj"],
        "base_model_name_or_path": str(base),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
