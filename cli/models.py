"""``cia models``: versions of the adapter, and which one serves."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Annotated

import typer

from cia.settings import load_settings
from cli import canary

if TYPE_CHECKING:
    from cia.registry import RegisteredAdapter

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
        print(f"{version.served_name}  {'Production' if version.in_production else version.gate:10}  {_scores(version)}")
        hashes = {"data": version.tags.get("data_digest", ""), "index": version.tags.get("index_fingerprint", "")}
        known = [f"{name} {value[:12]}" for name, value in hashes.items() if value]
        print(f"    {', '.join([f'registered {version.created}', *known])}\n    {version.reason}")
        if "promoted_at" in version.tags:
            print(
                f"    promoted by {version.tags['promoted_by']} on {version.tags['promoted_at']}: {version.tags['promoted_why']}"
            )
    if not versions:
        print("no version is registered yet; `cia pipeline run` makes one")


def _scores(version: RegisteredAdapter) -> str:
    return "  ".join(f"{name} {value:.2f}" for name, value in sorted(version.scores.items()))


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A version, or `base`.")],
    second: Annotated[str, typer.Argument(help="Another version, or `base`: what the first was trained on.")],
    as_json: JsonOption = False,
) -> None:
    """Show the scores of two versions on the same questions, with intervals, and what else differs."""
    from cia.registry import Registry, compare_versions

    comparison = compare_versions(Registry(load_settings()), first, second)
    print(json.dumps(comparison.as_json()) if as_json else comparison.to_markdown(), end="\n" if as_json else "")


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="The version to serve.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Although the gate refused it; say why with --reason.")] = False,
) -> None:
    """Make a version that passed the gate the one in Production."""
    from cia.registry import Registry

    registry = Registry(load_settings())
    registry.promote(version, by=getpass.getuser(), why=reason if force else reason or "promoted by hand", force=force)
    print(f"{version} is in Production")


@app.command()
def rollback(reason: Annotated[str, typer.Option(help="Why; kept with both versions.")] = "rolled back by hand") -> None:
    """Put the version before the present one back into Production."""
    from cia.registry import Registry

    restored = Registry(load_settings()).rollback(by=getpass.getuser(), why=reason)
    print(f"{restored.served_name} is in Production again")
