"""``cia models export``: a version as one model, for programs that know nothing of adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cia.settings import load_settings
from cli.progress_line import progress_line


def add_to(models: typer.Typer) -> None:
    """Register the command below ``cia models``."""
    models.command("export")(export)


def export(
    version: Annotated[str, typer.Argument(help="The version, or a folder with an adapter.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to make; one that exists is refused.")],
    format: Annotated[
        str, typer.Option(help="merged: a Hugging Face folder with 16-bit weights; gguf: a file for llama.cpp.")
    ] = "merged",
    quantization: Annotated[
        str | None, typer.Option(help="merged: bf16 or f16; gguf: f16, q8_0 or q4_0. The first of each if not said.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Merge a version into its base, check that the result says the same, and save it."""
    from runtimes.export import export_adapter

    with progress_line(f"export {version}", show=not as_json) as progress:
        exported = export_adapter(load_settings(), version, out, format, quantization, progress)
    if as_json:
        print(json.dumps(exported.as_json()))
        return
    print(
        f"{exported.file}: {exported.megabytes:g} MB in {exported.precision}, "
        f"{exported.difference:.2g} nats a token from the base with the adapter beside it"
    )
