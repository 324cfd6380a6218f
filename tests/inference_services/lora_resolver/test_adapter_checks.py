"""Files that are not what was registered, or no adapter for this base model, are refused with the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from code_assistant_lora_resolver import checks
from code_assistant_lora_resolver.errors import AdapterRefused
from tests.rag_server.tiny_adapter import make_adapter, make_base

NAME = "code-assistant:7"
MODULE = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base")


@pytest.fixture
def adapter(tmp_path: Path, base: Path) -> Path:
    return make_adapter(tmp_path / "adapter", base)


def configure(adapter: Path, **changes: Any) -> None:
    path = adapter / checks.CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def reweigh(adapter: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    tensors = load_file(adapter / checks.WEIGHTS)
    change(tensors)
    save_file(tensors, adapter / checks.WEIGHTS)


def sums(adapter: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in adapter.iterdir()}


def test_a_good_adapter_passes(adapter: Path, base: Path) -> None:
    checks.check_checksums(NAME, adapter, sums(adapter))
    checks.check_weights(NAME, adapter, base)
    checks.check_base(NAME, checks.read_config(NAME, adapter)["base_model_name_or_path"], {str(base)})


def test_one_changed_byte_is_seen(adapter: Path) -> None:
    registered = sums(adapter)
    weights = bytearray((adapter / checks.WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (adapter / checks.WEIGHTS).write_bytes(weights)
    assert not checks.is_intact(adapter, registered)
    with pytest.raises(AdapterRefused, match=r"adapter_model\.safetensors of code-assistant:7 is not the file"):
        checks.check_checksums(NAME, adapter, registered)


def test_a_missing_file_is_not_intact(adapter: Path) -> None:
    registered = sums(adapter)
    (adapter / checks.CONFIG).unlink()
    assert not checks.is_intact(adapter, registered)


def test_another_base_is_named_without_its_folders() -> None:
    with pytest.raises(AdapterRefused, match="trained on base-old; here runs base-new or org/model"):
        checks.check_base(NAME, "/home/models/base-old", {"/home/models/base-new", "org/model"})


def test_an_unknown_base_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AdapterRefused, match="a base model that nobody noted"):
        checks.check_base(NAME, "", {str(tmp_path)})


def test_a_base_reached_by_another_path_is_the_same(base: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(base)
    checks.check_base(NAME, str(base), {str(link)})


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"peft_type": "IA3"}', b'{"peft_type": "LORA"}', b"[" * 100_000]
)
def test_a_configuration_that_is_none_is_refused(adapter: Path, content: bytes) -> None:
    (adapter / checks.CONFIG).write_bytes(content)
    with pytest.raises(AdapterRefused, match=r"adapter_config\.json of code-assistant:7"):
        checks.read_config(NAME, adapter)


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\xff" * 1000])
def test_weights_that_are_no_safetensors_are_refused(adapter: Path, base: Path, content: bytes) -> None:
    (adapter / checks.WEIGHTS).write_bytes(content)
    with pytest.raises(AdapterRefused, match="not a whole safetensors file"):
        checks.check_weights(NAME, adapter, base)


def test_half_a_file_of_weights_is_refused(adapter: Path, base: Path) -> None:
    weights = (adapter / checks.WEIGHTS).read_bytes()
    (adapter / checks.WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(AdapterRefused, match="not a whole safetensors file"):
        checks.check_weights(NAME, adapter, base)


def rank_of_eight(tensors: dict[str, np.ndarray]) -> None:
    tensors[f"{MODULE}.lora_A.weight"] = np.ones((8, 16), np.float32)
    tensors[f"{MODULE}.lora_B.weight"] = np.ones((16, 8), np.float32)


def uneven_ranks(tensors: dict[str, np.ndarray]) -> None:
    tensors[f"{MODULE}.lora_B.weight"] = np.ones((16, 2), np.float32)


def other_shape(tensors: dict[str, np.ndarray]) -> None:
    tensors[f"{MODULE}.lora_A.weight"] = np.ones((4, 32), np.float32)


def half_a_pair(tensors: dict[str, np.ndarray]) -> None:
    del tensors[f"{MODULE}.lora_B.weight"]


def whole_numbers(tensors: dict[str, np.ndarray]) -> None:
    tensors[f"{MODULE}.lora_A.weight"] = np.ones((4, 16), np.int32)


def a_magnitude(tensors: dict[str, np.ndarray]) -> None:
    tensors[f"{MODULE}.lora_magnitude_vector"] = np.ones(16, np.float32)


def another_module(tensors: dict[str, np.ndarray]) -> None:
    other = MODULE.replace("q_proj", "k_proj")
    tensors[f"{other}.lora_A.weight"] = np.ones((4, 16), np.float32)
    tensors[f"{other}.lora_B.weight"] = np.ones((16, 4), np.float32)


def nothing(tensors: dict[str, np.ndarray]) -> None:
    tensors.clear()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (rank_of_eight, "has rank 8 and 8 .* its configuration says 4"),
        (uneven_ranks, "has rank 4 and 2"),
        (other_shape, "is 16 x 32 in .*q_proj, but the base model here is 16 x 16"),
        (half_a_pair, "lacks one of the two matrices"),
        (whole_numbers, "as 'I32'; vLLM takes floating-point"),
        (a_magnitude, "no plain LoRA weight"),
        (another_module, "changes .*k_proj, which its configuration does not name"),
        (nothing, "holds no weights"),
    ],
)
def test_weights_that_the_configuration_or_the_base_contradict_are_refused(
    adapter: Path, base: Path, change: Callable[[dict[str, np.ndarray]], None], reason: str
) -> None:
    reweigh(adapter, change)
    with pytest.raises(AdapterRefused, match=reason):
        checks.check_weights(NAME, adapter, base)


def test_without_the_bases_files_its_shapes_are_vllms_to_check(adapter: Path) -> None:
    reweigh(adapter, other_shape)
    checks.check_weights(NAME, adapter, Path("org/model"))


def test_a_larger_rank_in_the_pattern_is_allowed(adapter: Path, base: Path) -> None:
    reweigh(adapter, rank_of_eight)
    configure(adapter, rank_pattern={"q_proj": 8})
    checks.check_weights(NAME, adapter, base)
