"""``cia models``: versions of the adapter, and which one serves."""

from __future__ import annotations

import getpass
import json
from typing import Annotated

import typer

from cia.settings import load_settings
from cli import canary

app = typer.Typer(help="Versions of the adapter, and which one serves.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(canary.app, name="canary")
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_versions(as_json: JsonOption = False) -> None:
    """Show every registered version with its gate verdict and scores."""
    from cia.registry import Registry

    versions = Registry(load_settings()).list()
    if as_json:
        print(json.dumps({"models": [version.as_json() for version in versions]}))
        return
    for version in versions:
        scores = "  ".join(f"{name} {value:.2f}" for name, value in sorted(version.scores.items()))
        print(f"{version.served_name}  {'Production' if version.in_production else version.gate:10}  {scores}")
    if not versions:
        print("no version is registered yet; `cia pipeline run` makes one")


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="The version to serve.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")] = "promoted by hand",
) -> None:
    """Make a version that passed the gate the one in Production."""
    from cia.registry import Registry

    registry = Registry(load_settings())
    registry.promote(version, by=getpass.getuser(), why=reason)
    print(f"{version} is in Production")


@app.command()
def rollback() -> None:
    """Put the version before the present one back into Production."""
    from cia.registry import Registry

    restored = Registry(load_settings()).rollback()
    print(f"{restored.served_name} is in Production again")
