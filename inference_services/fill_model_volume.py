"""Fill a volume with models from a hub, once: what the job of a cluster's shared volume runs.

    python -m inference_services.fill_model_volume /mnt/models google/gemma-2-2b-it@main

Ended at any moment it leaves no half model where a server would look, and the next run carries on.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from cia.errors import CiaError, InputError, OperationError

SERVED_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
"""What a server reads. Pickled weights and Python files, which could run code, stay away."""


def fill(volume: Path, model: str, revision: str) -> Path:
    """Return the folder ``volume/model/revision``, complete; what is there already is not asked for again.

    Raises OperationError with the hub's reason, or when the model has no weights as safetensors.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    folder = volume / model / revision
    if folder.is_dir():
        return folder
    partial = volume / ".partial" / model / revision
    try:
        snapshot_download(model, revision=revision, local_dir=partial, allow_patterns=SERVED_FILES)
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip() or type(error).__name__
        raise OperationError(f"{model}@{revision} cannot be fetched: {reason.splitlines()[0]}") from None
    if not any(partial.rglob("*.safetensors")):
        raise OperationError(f"{model}@{revision} has no weights as safetensors; name a model or a revision that has")
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return partial.rename(folder)


def main(arguments: list[str] | None = None) -> int:
    """Fill the volume with each model; returns the exit code. The first that fails ends it with one line on stderr."""
    parser = argparse.ArgumentParser(prog="fill_model_volume", description="Fill a volume with models from a hub, once.")
    parser.add_argument("volume", type=Path, help="the folder that the models are served from")
    parser.add_argument("models", nargs="+", metavar="MODEL@REVISION")
    asked = parser.parse_args(arguments)
    try:
        for wanted in asked.models:
            model, _, revision = wanted.partition("@")
            if not revision:
                raise InputError(f"{wanted} names no revision; write {wanted}@main, or a commit")
            print(fill(asked.volume, model, revision), flush=True)
    except CiaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
