"""Real MLflow on SQLite, and adapters of a two-layer base model, made of numpy alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from cia.registry import Registry
from cia.settings import Settings

SHAPES = {"self_attn.q_proj": (16, 16), "mlp.up_proj": (32, 16)}

MakeAdapter = Callable[..., Path]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model's folder: a configuration and the weights of two layers."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    weights = {
        f"model.layers.{layer}.{module}.weight": np.full(shape, 0.5, np.float32)
        for layer in range(2)
        for module, shape in SHAPES.items()
    }
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.fixture
def make_adapter(tmp_path: Path, base: Path) -> MakeAdapter:
    """Write an adapter of ``base``; keywords change its configuration, ``weights`` its tensors."""

    def make(weights: dict[str, Any] | None = None, rank: int = 4, seed: int = 0, **config: Any) -> Path:
        folder = tmp_path / f"adapter-{len(list(tmp_path.glob('adapter-*')))}"
        folder.mkdir()
        random = np.random.default_rng(seed)
        tensors: dict[str, np.ndarray] = {}
        for layer in range(2):
            for module, (outputs, inputs) in SHAPES.items():
                name = f"base_model.model.model.layers.{layer}.{module}"
                tensors[f"{name}.lora_A.weight"] = random.normal(size=(rank, inputs)).astype(np.float32)
                tensors[f"{name}.lora_B.weight"] = random.normal(size=(outputs, rank)).astype(np.float32)
        tensors.update(weights or {})
        save_file(tensors, folder / "adapter_model.safetensors")
        described = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "base_model_name_or_path": str(base), **config}
        (folder / "adapter_config.json").write_text(json.dumps(described))
        return folder

    return make


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, made once: that takes seconds."""
    home = tmp_path_factory.mktemp("database")
    assert Registry(Settings(home=home)).list() == []
    return home / "mlflow.db"


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mlflow.db").write_bytes(empty_database.read_bytes())
    return Settings(home=home)


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings)
