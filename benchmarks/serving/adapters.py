"""Adapters that cost what real ones cost and change nothing that the reciting model says: random weights, in numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.settings import Settings

RANK = 8
TARGETS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
"""The reciting model multiplies what these put out by zero: with any other layer changed it would forget its lines."""

FOR_THE_BENCHMARK = Decision(True, "registered for a benchmark, without a gate")


def register_versions(settings: Settings, base: Path, count: int) -> Registry:
    """Return the registry of ``settings`` with ``count`` new versions made for ``base``, the first of them in Production."""
    registry = Registry(settings)
    for seed in range(count):
        folder = make_adapter(settings.home / "made" / f"adapter-{seed}", base, seed)
        registry.register(folder, {}, FOR_THE_BENCHMARK, base)
    registry.promote(1, by="benchmark")
    return registry


def make_adapter(folder: Path, base: Path, seed: int) -> Path:
    """Write a LoRA adapter of rank ``RANK`` on the ``TARGETS`` of ``base``, another for each ``seed``; return its folder."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    with safe_open(str(base / "model.safetensors"), "numpy") as weights:
        for name in weights.keys():  # noqa: SIM118  (a file, not a dict)
            module = name.removesuffix(".weight")
            if module.endswith(TARGETS):
                outputs, inputs = weights.get_slice(name).get_shape()
                for side, shape in (("lora_A", (RANK, inputs)), ("lora_B", (outputs, RANK))):
                    tensors[f"base_model.model.{module}.{side}.weight"] = random.normal(0, 0.02, shape).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": list(TARGETS),
        "base_model_name_or_path": str(base),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
