"""A registered version, or an adapter in a folder, exported into a folder of its own: whole and checked, or not at all.

The folder holds the model and ``export.json``, which says what it was made from and what the checks found.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from cia.adapter import CONFIG, base_fingerprint, check_adapter
from cia.durable_files import STAGING_MARK, exclusive, replace_directory, replace_text
from cia.errors import AdapterError, InputError
from cia.progress import Progress, silent
from cia.settings import Settings
from runtimes.export.gguf_file import QUANTIZATIONS, Quantization, refuse_unknown, write_gguf
from runtimes.export.merging import MergedModel, Precision, load_config, merge, save_merged

if TYPE_CHECKING:
    from cia.registry import Registry

Format = Literal["merged", "gguf"]
FORMATS: tuple[str, ...] = get_args(Format)

PRECISIONS: dict[str, tuple[str, ...]] = {"merged": get_args(Precision), "gguf": QUANTIZATIONS}
"""What a format's weights can be; the first is taken when nothing is said."""

FACTS = "export.json"


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """``file`` is what a program is pointed at: the GGUF file, or the folder. ``megabytes`` are those of all files.

    ``difference`` is what the check found, in nats a token from base and adapter side by side.
    """

    name: str
    folder: str
    file: str
    format: str
    precision: str
    base_model: str
    base_fingerprint: str
    megabytes: float
    difference: float

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    adapter: Path
    base: str


def export_adapter(
    settings: Settings, version: str, out: Path, format: str, precision: str | None = None, progress: Progress = silent
) -> ExportedModel:
    """Make the folder ``out`` of a version ("3", "code-assistant:3") or of an adapter's folder, and return what is in it.

    Raises InputError for a folder that exists, an unknown format and a model that has no GGUF here; AdapterError when the
    adapter or its base is not what was registered; OperationError when the result does not say what base and adapter say.
    """
    precision = _precision_of(format, precision)
    with exclusive(settings.home / "export.lock", "exporting a model"):
        if out.exists():
            raise InputError(f"{out} exists; name a folder that does not, or remove it")
        source = _find(settings, version)
        if format == "gguf":
            _refuse_early(source.base)
        _remove_unfinished(out)
        with replace_directory(out) as staging:
            progress("merging the adapter", 0, 0)
            merged = merge(source.adapter, source.base)
            file, difference = (
                (".", save_merged(merged, staging, cast(Precision, precision)))
                if format == "merged"
                else _save_gguf(merged, staging, cast(Quantization, precision), source.name, progress)
            )
            size = sum(path.stat().st_size for path in staging.iterdir())
            exported = ExportedModel(
                name=source.name,
                folder=str(out),
                file=str(out / file),
                format=format,
                precision=precision,
                base_model=source.base,
                base_fingerprint=base_fingerprint(source.base),
                megabytes=round(size / 1e6, 1),
                difference=difference,
            )
            replace_text(staging / FACTS, json.dumps({**exported.as_json(), "versions": _versions()}, indent=1) + "\n")
    return exported


def _precision_of(format: str, precision: str | None) -> str:
    if format not in PRECISIONS:
        raise InputError(f"{format!r} is no format; choose {' or '.join(FORMATS)}")
    if precision is None:
        return PRECISIONS[format][0]
    if precision not in PRECISIONS[format]:
        raise InputError(f"{format} weights come as {', '.join(PRECISIONS[format])}, not as {precision!r}")
    return precision


def _find(settings: Settings, version: str) -> _Source:
    number = version.removeprefix(f"{settings.registry.model_name}:")
    if number.isdecimal():
        from cia.registry import Registry

        source = _registered(Registry(settings), number)
    else:
        source = _in_folder(Path(version))
    check_adapter(source.adapter, source.base, settings.serving.max_lora_rank)
    return source


def _registered(registry: Registry, number: str) -> _Source:
    known = registry.get(number)
    present = base_fingerprint(known.base_model)
    if present != known.base_fingerprint:
        raise AdapterError(
            f"{known.served_name} was trained on other weights than {known.base_model} now holds; merged they would make a "
            "model that nobody scored"
        )
    return _Source(known.served_name.replace(":", "-"), registry.fetch(number), known.base_model)


def _in_folder(folder: Path) -> _Source:
    try:
        base = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{folder} is neither a version nor a folder with an adapter; `cia models list` shows versions"
        ) from None
    return _Source(folder.resolve().name, folder, str(base))


def _refuse_early(base: str) -> None:
    from transformers import AutoTokenizer

    config = load_config(base)
    refuse_unknown(config, AutoTokenizer.from_pretrained(base))


def _save_gguf(
    merged: MergedModel, staging: Path, quantization: Quantization, name: str, progress: Progress
) -> tuple[str, float]:
    from runtimes.export.agreement import check_agreement

    file = f"{name}-{quantization}.gguf"
    write_gguf(merged.model, merged.tokenizer, staging / file, quantization, name, progress)
    progress("asking llama.cpp", 0, 0)
    return file, check_agreement(staging / file, merged.model, merged.tokenizer, quantization)


def _remove_unfinished(out: Path) -> None:
    """Remove what a killed export to this very folder left; beside it lies what is not ours."""
    for left in out.parent.glob(f".{out.name}{STAGING_MARK}*"):
        shutil.rmtree(left, ignore_errors=True)


def _versions() -> dict[str, str]:
    found = {}
    for package in ("torch", "transformers", "peft", "gguf", "xllamacpp"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
