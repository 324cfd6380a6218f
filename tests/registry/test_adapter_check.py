from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cia.adapter import base_fingerprint, check_adapter
from cia.errors import AdapterError

Q_PROJ = "base_model.model.model.layers.0.self_attn.q_proj"
MakeAdapter = Callable[..., Path]


def test_a_plain_lora_adapter_is_accepted_with_its_facts(make_adapter: MakeAdapter, base: Path) -> None:
    facts = check_adapter(make_adapter(), base, max_rank=16)

    assert (facts.rank, facts.alpha, facts.base_model) == (4, 8.0, str(base))
    assert facts.modules == ("q_proj", "up_proj")
    assert facts.parameters == 2 * (4 * 16 + 16 * 4 + 4 * 16 + 32 * 4)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias"),
        ({"lora_bias": True}, "LoRA bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"base_model_name_or_path": "/another/base"}, "was trained on /another/base"),
        ({"rank": 32}, "rank 32"),
        ({"rank_pattern": {"q_proj": 64}}, "rank 64"),
        ({"r": 2}, "configuration says 2"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"peft_type": "PROMPT_TUNING"}, "LoRA adapter"),
    ],
)
def test_what_vllm_would_reject_is_refused(make_adapter: MakeAdapter, base: Path, config: dict, complaint: str) -> None:
    with pytest.raises(AdapterError, match=complaint):
        check_adapter(make_adapter(**config), base, max_rank=16)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_numbers_are_refused(make_adapter: MakeAdapter, base: Path, value: float) -> None:
    broken = np.zeros((4, 16), np.float32)
    broken[2, 3] = value
    with pytest.raises(AdapterError, match="not numbers"):
        check_adapter(make_adapter({f"{Q_PROJ}.lora_A.weight": broken}), base, max_rank=16)


def test_bfloat16_weights_are_read_and_their_nan_is_found(make_adapter: MakeAdapter, base: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    adapter = make_adapter()
    path = adapter / "adapter_model.safetensors"
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    assert check_adapter(adapter, base, max_rank=16).rank == 4

    tensors[f"{Q_PROJ}.lora_B.weight"][0, 0] = torch.nan
    save_file(tensors, path)
    with pytest.raises(AdapterError, match="not numbers"):
        check_adapter(adapter, base, max_rank=16)


def test_shapes_of_another_model_are_refused(make_adapter: MakeAdapter, base: Path) -> None:
    wide = {f"{Q_PROJ}.lora_A.weight": np.zeros((4, 64), np.float32)}
    with pytest.raises(AdapterError, match="base model is 16 x 16"):
        check_adapter(make_adapter(wide), base, max_rank=16)


def test_a_module_that_the_base_does_not_have_is_refused(make_adapter: MakeAdapter, base: Path) -> None:
    name = "base_model.model.model.layers.7.self_attn.q_proj"
    extra = {f"{name}.lora_A.weight": np.zeros((4, 16), np.float32), f"{name}.lora_B.weight": np.zeros((16, 4), np.float32)}
    with pytest.raises(AdapterError, match="does not have"):
        check_adapter(make_adapter(extra), base, max_rank=16)


def test_without_the_base_at_hand_unknown_modules_are_refused(make_adapter: MakeAdapter) -> None:
    name = "base_model.model.model.layers.0.mlp.router"
    extra = {f"{name}.lora_A.weight": np.zeros((4, 16), np.float32), f"{name}.lora_B.weight": np.zeros((16, 4), np.float32)}
    with pytest.raises(AdapterError, match="router"):
        check_adapter(make_adapter(extra, base_model_name_or_path="org/model"), "org/model", max_rank=16)


def test_half_an_adapter_is_refused(make_adapter: MakeAdapter, base: Path) -> None:
    lonely = {"base_model.model.model.layers.0.mlp.gate_proj.lora_A.weight": np.zeros((4, 16), np.float32)}
    with pytest.raises(AdapterError, match="two matrices"):
        check_adapter(make_adapter(lonely), base, max_rank=16)


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
def test_missing_and_cut_off_files_are_refused(make_adapter: MakeAdapter, base: Path, file: str) -> None:
    adapter = make_adapter()
    whole = (adapter / file).read_bytes()
    (adapter / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AdapterError, match=file):
        check_adapter(adapter, base, max_rank=16)
    (adapter / file).unlink()
    with pytest.raises(AdapterError, match=file):
        check_adapter(adapter, base, max_rank=16)


def test_two_trainings_of_one_base_have_different_fingerprints(base: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in base.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    assert base_fingerprint(other) == base_fingerprint(base)

    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    assert base_fingerprint(other) != base_fingerprint(base)
    assert base_fingerprint("org/model") == ""


@pytest.mark.parametrize(
    "config",
    [
        {"base_model_name_or_path": "/another/base"},
        {"r": 2},
        {"peft_type": "PROMPT_TUNING"},
        {"target_modules": ["q_proj"]},
        {"weights": {f"{Q_PROJ}.lora_A.weight": np.zeros((4, 15), np.float32)}},
        {"weights": {f"{Q_PROJ}.lora_A.weight": np.zeros((4, 16), np.int32)}},
        {"weights": {f"{Q_PROJ}.lora_magnitude_vector": np.zeros(16, np.float32)}},
        {"weights": {"base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight": np.zeros((4, 16), np.float32)}},
    ],
)
def test_what_the_server_would_refuse_to_load_is_refused_before_it_is_registered(
    make_adapter: MakeAdapter, base: Path, config: dict
) -> None:
    """vLLM's resolver lives in an environment of its own and checks for itself; this check may be stricter, never laxer."""
    from code_assistant_lora_resolver import checks
    from code_assistant_lora_resolver.errors import AdapterRefused

    def as_the_server_does(adapter: Path) -> None:
        checks.check_base("a", checks.read_config("a", adapter)["base_model_name_or_path"], {str(base)})
        checks.check_weights("a", adapter, base)

    as_the_server_does(make_adapter())
    adapter = make_adapter(**config)
    with pytest.raises(AdapterRefused):
        as_the_server_does(adapter)
    with pytest.raises(AdapterError):
        check_adapter(adapter, base, max_rank=16)
