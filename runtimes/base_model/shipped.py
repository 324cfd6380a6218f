"""Where the shipped base model is, and whether it is whole."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from cia.durable_files import exclusive, remove_unfinished, replace_directory
from cia.errors import InputError
from cia.settings import Settings

SHIPPED = Path(__file__).parent / "weights"

CHECKSUMS = "SHA256SUMS"
"""Names every file that a model is loaded from, as ``sha256sum`` writes it; the model card may change without it."""

NAME = "code-assistant-base"

LOCAL_BASE = "local"
"""The value of ``training.base_model`` that means the model shipped here."""


def shipped_base() -> Path:
    """Return the folder of the base model that came with the project.

    Raises InputError when files are missing or others than those of its checksums.
    """
    return check_files(SHIPPED)


def install_base(directory: Path) -> Path:
    """Return a copy of the shipped base model below ``directory``, named after its content; made unless it is there already.

    Adapters, the registry and vLLM know a base model by its path, and a checkout or an environment may move.
    Raises InputError as ``shipped_base`` does, BusyError when another process copies for more than a minute.
    """
    shipped = shipped_base()
    digest = hashlib.sha256((shipped / CHECKSUMS).read_bytes()).hexdigest()
    path = (directory / f"{NAME}-{digest[:12]}").absolute()
    with exclusive(directory / ".base-model.lock", "copying the base model", wait_seconds=60):
        remove_unfinished(directory)
        if not _is_whole(path):
            with replace_directory(path) as staging:
                shutil.copytree(shipped, staging, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return path


def resolve_base(settings: Settings, named: str) -> str:
    """Return the folder or hub name of the base model ``named`` as ``training.base_model`` names one, "local" being this one.

    Raises as ``install_base`` does.
    """
    return str(install_base(settings.home / "models")) if named == LOCAL_BASE else named


def check_files(folder: Path) -> Path:
    """Return ``folder`` when it holds what its checksums say. Raises InputError that names the first file that is wrong."""
    try:
        listed = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"there is no base model in {folder}; {_REPAIR}") from None
    for line in listed:
        expected, _, name = line.partition("  ")
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except FileNotFoundError:
            raise InputError(f"{name} of the base model is missing in {folder}; {_REPAIR}") from None
        if found != expected:
            raise InputError(f"{folder / name} is not the file that {CHECKSUMS} lists; {_REPAIR}")
    return folder


_REPAIR = "install the project again, or name another model in training.base_model"


def _is_whole(folder: Path) -> bool:
    try:
        check_files(folder)
    except InputError:
        return False
    return True
