"""``cia cluster secret``: which keys the cluster's secret has, and a way in for those that only a person knows."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from cia.errors import InputError
from cia.settings import Settings, load_settings

app = typer.Typer(help="Keys of the cluster's secret; no value is ever shown.", no_args_is_help=True, rich_markup_mode=None)

Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig; default: the current one.")]


@app.command("set")
def set_value(key: Annotated[str, typer.Argument(help="One of `cia cluster secret list`.")], context: Context = None) -> None:
    """Write the value that is read from standard input, or asked for, under KEY."""
    from cluster.connection import connect
    from cluster.secrets import set_key

    settings = _settings()
    value = typer.prompt(f"value of {key}", hide_input=True) if sys.stdin.isatty() else _one_line(sys.stdin.read())
    set_key(connect(context), settings, key, value)
    print(f"{key} is written; pods read it when they start: kubectl -n {settings.cluster.namespace} rollout restart deployment")


@app.command("list")
def list_keys(
    context: Context = None, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Print every key: whether it is there, who makes it, and what it is for."""
    from cluster.connection import connect
    from cluster.secrets import KeyState, key_states

    def source(state: KeyState) -> str:
        return "made" if state.key.generated else "given"

    states = key_states(connect(context), _settings())
    if as_json:
        rows = [
            {"key": state.key.key, "present": state.present, "source": source(state), "optional": state.key.optional}
            for state in states
        ]
        print(json.dumps({"keys": rows}))
        return
    for state in states:
        there = "there" if state.present else "optional" if state.key.optional else "missing"
        print(f"{state.key.key:<28} {there:<9} {source(state):<6} {state.key.needed_by:<20} {state.key.what}")


def _settings() -> Settings:
    return load_settings("cluster")


def _one_line(text: str) -> str:
    """Return the one line that was piped in, without the line end that `echo` and editors add."""
    value = text.rstrip("\r\n")
    if "\n" in value:
        raise InputError("standard input has more than one line; a key's value is one")
    return value
