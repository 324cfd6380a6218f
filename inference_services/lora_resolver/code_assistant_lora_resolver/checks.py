"""Whether fetched files are what was registered, and an adapter for the base model that is served here.

What vLLM itself refuses, vLLM is asked (``vllm_checks``). Here is what it would not notice, or would only say in its log.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath
from typing import Any

from code_assistant_lora_resolver.errors import AdapterRefused
from code_assistant_lora_resolver.registry_client import CONFIG, WEIGHTS

FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.(?P<side>lora_A|lora_B)\.weight")
"""How PEFT names the two matrices of a module; DoRA's magnitudes, biases and whole layers are called otherwise."""


def is_intact(folder: Path, checksums: Mapping[str, str]) -> bool:
    """Whether each file has the SHA-256 that it was registered with."""
    return not _damaged(folder, checksums)


def check_checksums(name: str, folder: Path, checksums: Mapping[str, str]) -> None:
    """Raise AdapterRefused when a file of the version called ``name`` is not the one that was registered."""
    if damaged := _damaged(folder, checksums):
        raise AdapterRefused(
            f"{damaged} of {name} is not the file that was registered (its SHA-256 differs): "
            "it is damaged or was replaced; train and register the adapter again"
        )


def check_base(name: str, trained_on: str, served: Collection[str]) -> None:
    """Raise AdapterRefused when ``trained_on`` is none of the names that the served base model goes by."""
    same = trained_on in served or os.path.realpath(trained_on) in {os.path.realpath(other) for other in served}
    if not trained_on or not same:
        here = " or ".join(sorted({_short(other) for other in served}))
        raise AdapterRefused(f"{name} was trained on {_short(trained_on) or 'a base model that nobody noted'}; here runs {here}")


def check_weights(name: str, folder: Path, base: Path) -> None:
    """Raise AdapterRefused when the weights are not the plain LoRA that the configuration describes.

    Where ``base`` is the folder of the served base model, the shapes must be those of its layers.
    """
    config = read_config(name, folder)
    tensors = _read_header(name, folder / WEIGHTS)
    base_shapes = _base_shapes(base) if base.is_dir() else {}
    modules: dict[str, dict[str, list[int]]] = {}
    for tensor, facts in tensors.items():
        found = TENSOR.fullmatch(tensor)
        if found is None:
            raise AdapterRefused(f"{name} holds {ascii(tensor)[:200]}, which is no plain LoRA weight; train it as plain LoRA")
        if facts["dtype"] not in FLOATS:
            raise AdapterRefused(f"{name} holds weights as {ascii(facts['dtype'])[:20]}; vLLM takes floating-point weights")
        modules.setdefault(found["module"], {})[found["side"]] = facts["shape"]
    for module, sides in modules.items():
        _check_module(name, module, sides, config, base_shapes)


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """Return the adapter's configuration. Raises AdapterRefused when it is none of a LoRA."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise AdapterRefused(f"{CONFIG} of {name} does not describe a LoRA adapter; train and register it again")
    if not isinstance(config.get("r"), int) or not isinstance(config.get("base_model_name_or_path"), str):
        raise AdapterRefused(f"{CONFIG} of {name} lacks its rank or its base model; train and register it again")
    return config


def _damaged(folder: Path, checksums: Mapping[str, str]) -> str | None:
    for file, expected in checksums.items():
        try:
            with (folder / file).open("rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() != expected:
                    return file
        except OSError:
            return file
    return None


def _check_module(
    name: str, module: str, sides: Mapping[str, list[int]], config: Mapping[str, Any], base_shapes: Mapping[str, list[int]]
) -> None:
    targets = config.get("target_modules")
    if isinstance(targets, list) and not any(module == target or module.endswith(f".{target}") for target in targets):
        raise AdapterRefused(f"{name} changes {module[:200]}, which its configuration does not name among its target_modules")
    if set(sides) != {"lora_A", "lora_B"} or any(len(shape) != 2 for shape in sides.values()):
        raise AdapterRefused(f"{name} lacks one of the two matrices of {module[:200]}")
    (rank, inputs), (outputs, rank_of_b) = sides["lora_A"], sides["lora_B"]
    patterns = config.get("rank_pattern") or {}
    largest = max([config["r"], *(value for value in patterns.values() if isinstance(value, int))])
    if rank != rank_of_b or not 0 < rank <= largest:
        raise AdapterRefused(f"{name} has rank {rank} and {rank_of_b} in {module[:200]}; its configuration says {largest}")
    expected = base_shapes.get(f"{module}.weight")
    if expected is not None and expected != [outputs, inputs]:
        raise AdapterRefused(
            f"{name} is {outputs} x {inputs} in {module[:200]}, but the base model here is {expected[0]} x {expected[1]}"
        )


def _read_header(name: str, path: Path) -> dict[str, dict[str, Any]]:
    """The dtype and shape of each tensor; the library itself checks that the file is as long as its header says."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  (a file, not a dict)
            header = {key: {"dtype": part.get_dtype(), "shape": list(part.get_shape())} for key, part in slices.items()}
    except (OSError, SafetensorError):
        raise AdapterRefused(f"{WEIGHTS} of {name} is not a whole safetensors file; train and register it again") from None
    if not header:
        raise AdapterRefused(f"{name} holds no weights; train and register it again")
    return header


def _base_shapes(base: Path) -> dict[str, list[int]]:
    """The shapes of the base model's matrices, as far as they are plain; quantized ones have other shapes and are left out."""
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, list[int]] = {}
    for path in base.glob("*.safetensors"):
        try:
            with safe_open(str(path), framework="np") as file:
                for key in file.keys():  # noqa: SIM118
                    part = file.get_slice(key)
                    if part.get_dtype() in FLOATS and len(part.get_shape()) == 2:
                        shapes[key] = list(part.get_shape())
        except (OSError, SafetensorError):
            continue  # vLLM serves this model: it knows what it does with such a file
    return shapes


def _short(model: str) -> str:
    """The last name of a folder: vLLM takes paths out of its messages."""
    return PurePath(model).name if os.path.isabs(model) else model[:200]
