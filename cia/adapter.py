"""Whether a LoRA adapter is one that vLLM will serve, found out before it is registered or promoted.

The rules are vLLM's (``vllm/lora/peft_helper.py``, ``lora_model.py``): plain LoRA only, ranks within the server's limit, modules
that the base model has. Weights that are not numbers load without complaint and answer rubbish; they are refused as well.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cia.errors import AdapterError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

KNOWN_MODULES = frozenset(
    {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj"}
    | {"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "embed_tokens", "lm_head"}
)
"""Linear layers of the Llama, Qwen and DeepSeek families: what is allowed when the base model is not at hand to ask."""

UNSUPPORTED = {
    "use_dora": "DoRA",
    "lora_bias": "a LoRA bias",
    "modules_to_save": "modules_to_save",
    "layer_replication": "layer_replication",
    "alora_invocation_tokens": "Activated LoRA",
    "use_bdlora": "block-diagonal LoRA",
    "use_qalora": "QALoRA",
    "trainable_token_indices": "trained token embeddings",
}

ORDINARY_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")
"""Values of ``init_lora_weights`` that leave the base model's weights as they are."""

SAMPLED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What an acceptable adapter is: its largest rank, its modules (``q_proj``), its parameters, and the base it names."""

    base_model: str
    rank: int
    alpha: float
    modules: tuple[str, ...]
    parameters: int


def check_adapter(directory: Path, base: str | Path, max_rank: int) -> AdapterFacts:
    """Return the facts of the adapter in ``directory``, made for ``base`` (a folder, whose shapes are compared, or a name).

    Raises AdapterError that says what vLLM would reject, or what would make it answer rubbish.
    """
    config = _read_config(directory)
    facts = _check_config(directory, config, str(base), max_rank)
    tensors = _read_tensors(directory)
    base_shapes = _base_shapes(Path(base)) if Path(base).is_dir() else {}
    modules: set[str] = set()
    pairs: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        module, side = _module_of(directory, name)
        modules.add(module.rpartition(".")[2])
        pairs.setdefault(module, {})[side] = tuple(tensor["shape"])
        _refuse_what_is_no_number(directory, name, tensor)
    targets = config.get("target_modules")
    for module, shapes in pairs.items():
        if isinstance(targets, list) and not any(module == target or module.endswith(f".{target}") for target in targets):
            raise AdapterError(f"the adapter in {directory} changes {module}, which is not among its target_modules")
        _check_shapes(directory, module, shapes, facts.rank, base_shapes)
    unknown = sorted(modules - KNOWN_MODULES) if not base_shapes else []
    if unknown:
        raise AdapterError(f"the adapter in {directory} changes {', '.join(unknown)}, which vLLM does not know as a LoRA module")
    parameters = sum(math.prod(tensor["shape"]) for tensor in tensors.values())
    return AdapterFacts(facts.base_model, facts.rank, facts.alpha, tuple(sorted(modules)), parameters)


def base_fingerprint(base: str | Path) -> str:
    """Return a hash that tells base models apart: over sizes, ends and headers of the weights in a folder; "" for a name.

    Two trainings of the same architecture differ in every weight, so the ends of the files are enough.
    """
    folder = Path(base)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("config.json")]):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(SAMPLED_BYTES))
            file.seek(max(0, size - SAMPLED_BYTES))
            digest.update(file.read(SAMPLED_BYTES))
    return digest.hexdigest()


def _read_config(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(f"there is no {CONFIG} in {directory}; the adapter's files are gone or were never written") from None
    except (OSError, ValueError):
        raise AdapterError(f"{path} cannot be read as JSON; train the adapter again") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise AdapterError(f"{path} does not describe a LoRA adapter")
    return config


def _check_config(directory: Path, config: Mapping[str, Any], base: str, max_rank: int) -> AdapterFacts:
    for key, feature in UNSUPPORTED.items():
        if config.get(key):
            raise AdapterError(f"the adapter in {directory} uses {feature}, which vLLM does not serve; train without it")
    if config.get("bias", "none") != "none":
        raise AdapterError(f"the adapter in {directory} trains a bias ({config['bias']}), which vLLM does not serve")
    if config.get("init_lora_weights", True) not in ORDINARY_STARTS:
        raise AdapterError(f"the adapter in {directory} starts from {config['init_lora_weights']}, which changes the base model")
    named = config.get("base_model_name_or_path")
    if named != base:
        raise AdapterError(f"the adapter in {directory} was trained on {named}, not on {base}")
    try:
        ranks = [int(config["r"]), *(int(rank) for rank in (config.get("rank_pattern") or {}).values())]
        alpha = float(config["lora_alpha"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise AdapterError(f"{directory / CONFIG} has no usable rank and alpha") from None
    if min(ranks) < 1 or max(ranks) > max_rank:
        raise AdapterError(f"the adapter in {directory} has rank {max(ranks)}; the server takes 1 to {max_rank} (max_lora_rank)")
    return AdapterFacts(str(named), max(ranks), alpha, (), 0)


def _read_tensors(directory: Path) -> dict[str, dict[str, Any]]:
    from safetensors import SafetensorError, deserialize

    path = directory / WEIGHTS
    try:
        tensors = dict(deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise AdapterError(f"there is no {WEIGHTS} in {directory}; other formats of weights are not accepted") from None
    except (OSError, SafetensorError):
        raise AdapterError(f"{path} is not a whole safetensors file; train or download the adapter again") from None
    if not tensors:
        raise AdapterError(f"{path} holds no weights")
    return tensors


def _module_of(directory: Path, name: str) -> tuple[str, str]:
    module, _, side = name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
    if not module or side not in ("lora_A", "lora_B") or not name.endswith(".weight"):
        raise AdapterError(f"the adapter in {directory} holds {name}, which is no plain LoRA weight")
    return module, side


def _refuse_what_is_no_number(directory: Path, name: str, tensor: Mapping[str, Any]) -> None:
    match tensor["dtype"]:
        case "BF16":  # numpy has none: the eight bits below the sign are the exponent, all set in inf and NaN
            finite = bool(((np.frombuffer(tensor["data"], dtype="<u2") & 0x7F80) != 0x7F80).all())
        case "F16" | "F32" | "F64" as kind:
            finite = bool(np.isfinite(np.frombuffer(tensor["data"], dtype=f"<f{int(kind[1:]) // 8}")).all())
        case kind:
            raise AdapterError(f"the adapter in {directory} holds {name} as {kind}; vLLM takes floating-point weights")
    if not finite:
        raise AdapterError(f"the adapter in {directory} has weights that are not numbers ({name}); its training diverged")


def _check_shapes(
    directory: Path, module: str, shapes: Mapping[str, tuple[int, ...]], rank: int, base_shapes: Mapping[str, tuple[int, ...]]
) -> None:
    if set(shapes) != {"lora_A", "lora_B"} or any(len(shape) != 2 for shape in shapes.values()):
        raise AdapterError(f"the adapter in {directory} lacks one of the two matrices of {module}")
    (rank_a, inputs), (outputs, rank_b) = shapes["lora_A"], shapes["lora_B"]
    if rank_a != rank_b or rank_a > rank:
        raise AdapterError(
            f"the adapter in {directory} has rank {rank_a} and {rank_b} in {module}, but its configuration says {rank}"
        )
    if not base_shapes:
        return
    if f"{module}.weight" not in base_shapes:
        raise AdapterError(f"the adapter in {directory} changes {module}, which the base model does not have")
    if base_shapes[f"{module}.weight"] != (outputs, inputs):
        expected = " x ".join(map(str, base_shapes[f"{module}.weight"]))
        raise AdapterError(f"the adapter in {directory} is {outputs} x {inputs} in {module}, but the base model is {expected}")


def _base_shapes(base: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(base.glob("*.safetensors")):
        try:
            with safe_open(str(path), framework="np") as file:
                shapes.update({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()})  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError):
            raise AdapterError(f"the base model's {path} cannot be read; make or download the base model again") from None
    return shapes
