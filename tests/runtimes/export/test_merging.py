from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cia.errors import InputError, OperationError
from runtimes.export import merging
from runtimes.export.merging import LARGEST_DIVERGENCE, divergence_of, load_model, logits, merge, save_merged

PROMPT = "def get(self, url, *, params=None):\n    return self.request('GET', url, params=params)\n"


@pytest.fixture
def side_by_side(base_folder: Path, adapter: Path) -> Any:
    """Logits [tokens, vocabulary] of base and adapter, as PEFT runs them."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32), adapter)
    with torch.no_grad():
        return model(**AutoTokenizer.from_pretrained(base_folder)(PROMPT, return_tensors="pt")).logits[0]


def said(folder: Path) -> Any:
    import torch

    model, tokenizer = load_model(folder)
    return logits(model, torch.tensor(tokenizer(PROMPT)["input_ids"]))


@pytest.mark.parametrize("precision", ["bf16", "f16"])
def test_the_saved_model_says_what_base_and_adapter_say(
    base_folder: Path, adapter: Path, side_by_side: Any, precision: Any, tmp_path: Path
) -> None:
    import torch
    from safetensors import safe_open

    merged = merge(adapter, base_folder)
    assert merged.logit_change < 1e-4
    divergence = save_merged(merged, tmp_path, precision)
    assert divergence < LARGEST_DIVERGENCE
    assert divergence_of(side_by_side, said(tmp_path)) < LARGEST_DIVERGENCE
    assert (side_by_side - said(tmp_path)).abs().max() < 0.2
    assert divergence_of(side_by_side, said(base_folder)) > 20 * LARGEST_DIVERGENCE
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118 - not a dict
    assert kinds == {{"bf16": torch.bfloat16, "f16": torch.float16}[precision]}


def test_the_saved_folder_has_the_tokenizer_and_its_chat_template(base_folder: Path, adapter: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save_merged(merge(adapter, base_folder), tmp_path, "bf16")
    question = [{"role": "user", "content": "Where is `naïve` set?"}]
    rendered = [AutoTokenizer.from_pretrained(path).apply_chat_template(question) for path in (base_folder, tmp_path)]
    assert rendered[0]["input_ids"] == rendered[1]["input_ids"]
    assert all(path.stat().st_mode & 0o044 for path in tmp_path.iterdir())


def test_large_weights_are_saved_in_shards(
    base_folder: Path, adapter: Path, side_by_side: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "SHARD", "100KB")
    save_merged(merge(adapter, base_folder), tmp_path, "bf16")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 1
    assert divergence_of(side_by_side, said(tmp_path)) < LARGEST_DIVERGENCE


def test_a_merge_that_changes_what_is_said_is_refused(base_folder: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft.tuners.lora import Linear

    right = Linear.get_delta_weight
    monkeypatch.setattr(Linear, "get_delta_weight", lambda layer, name: 0.9 * right(layer, name))
    with pytest.raises(OperationError, match="moved a logit by"):
        merge(adapter, base_folder)


def test_a_rounding_that_changes_what_is_said_is_refused(
    base_folder: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "LARGEST_DIVERGENCE", 1e-9)
    with pytest.raises(OperationError, match="nats a token from base and adapter"):
        save_merged(merge(adapter, base_folder), tmp_path, "bf16")


def test_weights_that_fp16_does_not_hold_are_refused(base_folder: Path, adapter: Path, tmp_path: Path) -> None:
    import torch

    merged = merge(adapter, base_folder)
    with torch.no_grad():
        merged.model.model.norm.weight[0] = 1e5
    with pytest.raises(OperationError, match=r"model.norm.weight has weights beyond 65504.*choose bf16"):
        save_merged(merged, tmp_path, "f16")
    assert list(tmp_path.iterdir()) == []


def test_a_quantised_base_is_refused(base_folder: Path, adapter: Path, tmp_path: Path) -> None:
    four_bits = shutil.copytree(base_folder, tmp_path / "base")
    config = json.loads((four_bits / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (four_bits / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="are quantised; merging needs the base in 16 or 32 bits"):
        merge(adapter, four_bits)


def test_a_folder_without_a_model_is_refused(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded"):
        merge(adapter, tmp_path)
