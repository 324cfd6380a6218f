"""``cia cluster``: what the platform is on Kubernetes, applied, compared, looked at and taken away."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cia.errors import InputError, OperationError
from cia.settings import Settings, load_settings
from cli import cluster_display as display
from cli import cluster_documents as documents
from cli import cluster_secret

if TYPE_CHECKING:
    from cluster.apply.applying import RefusedError
    from cluster.apply.server import Server
    from cluster.connection import Connection
    from cluster.part import Object

app = typer.Typer(help="The platform on Kubernetes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(cluster_secret.app, name="secret")


class DryRun(StrEnum):
    """Who tries it out."""

    server = "server"


Only = Annotated[list[str] | None, typer.Option("--only", help="A part of the platform; may be given several times.")]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig; default: its current one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before anything is deleted.")]
TryOut = Annotated[DryRun | None, typer.Option("--dry-run", help="Let the server try it without keeping anything.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for it to be ready.")]


@app.command()
def render(out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the YAML.")], only: Only = None) -> None:
    """Write every object as YAML, for review and GitOps; the same bytes every time, and never a secret."""
    from cluster.apply.rendering import render as write
    from cluster.platform import platform

    paths = write(platform(_settings(), only or ()), out, only or ())
    print(f"{out} holds {display.objects(len(paths))}")


@app.command()
def diff(only: Only = None, context: Context = None, as_json: AsJson = False) -> None:
    """Show what an apply would change; exit code 1 when it would change anything."""
    from cluster.apply.differences import differences
    from cluster.apply.ownership import owned, prunable
    from cluster.apply.planning import plan
    from cluster.platform import platform

    settings, (_, server) = _settings(), _open(context)
    parts = platform(settings, only or ())
    found = plan(server, parts, past_conflicts=True)
    rendered = [built for _, objects in parts for built in objects]
    left = prunable(owned(server, settings, rendered, only or ()), parts)
    shown = [
        display.Shown(change, differences(change.live, change.after) if change.live and change.after else [])
        for change in found.changes
        if change.outcome != "unchanged"
    ]
    if as_json:
        print(json.dumps(documents.differences_as_json(server, shown, found.refusals, left)))
    else:
        display.print_differences(shown, left, len(found.changes))
        display.complain_of_refusals(found.refusals)
    display.print_remarks(server.warnings)
    if found.refusals:
        raise OperationError(f"the cluster refuses {display.objects(len(found.refusals))}; the rest was compared")
    if shown or left:
        raise typer.Exit(1)


@app.command()
def apply(
    only: Only = None,
    context: Context = None,
    dry_run: TryOut = None,
    force_conflicts: Annotated[bool, typer.Option("--force-conflicts", help="Take over fields that others hold.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what the settings no longer make, volumes never.")] = False,
    yes: Yes = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for it to be ready.")] = False,
    timeout: Timeout = 900.0,
    as_json: AsJson = False,
) -> None:
    """Bring the cluster to what the settings say, and wait until it is ready."""
    from cluster.apply import applying

    settings, (connection, server) = _settings(), _open(context)
    lines = display.Lines(quiet=as_json)
    lines.heading(server, settings.cluster.namespace)
    document: dict[str, Any] = {
        "context": server.context,
        "namespace": settings.cluster.namespace,
        "dry_run": dry_run is not None,
    }
    try:
        if dry_run:
            found = applying.agreed(server, settings, only or (), force=force_conflicts)
            for change in found.changes:
                lines.outcome(change.part, change.outcome, change.built)
            document["objects"] = [documents.outcome_as_json(one.part, one.outcome, one.built) for one in found.changes]
            document["pruned"] = _prune(server, settings, only or (), lines, asked=prune, yes=True, dry_run=True)
            lines.summary(document["objects"], "would be ")
        else:
            applied, secret = applying.apply(
                connection,
                server,
                settings,
                only or (),
                force=force_conflicts,
                show=lambda one: lines.outcome(one.part, one.outcome, one.after),
            )
            document["objects"] = [documents.outcome_as_json(one.part, one.outcome, one.after) for one in applied]
            lines.secret(settings.cluster.secret, secret)
            document["secret"] = documents.secret_as_json(secret)
            document["pruned"] = _prune(server, settings, only or (), lines, asked=prune, yes=yes, dry_run=False)
            lines.summary(document["objects"])
            if not no_wait:
                document["pending"] = _wait(server, [one.after for one in applied], timeout, as_json)
    except applying.RefusedError as refused:
        _refuse(refused, as_json)
    display.print_remarks(server.warnings)
    if as_json:
        print(json.dumps(document))
    if document.get("pending"):
        raise OperationError(f"not ready: {display.objects(len(document['pending']))}; `cia cluster doctor` looks for causes")


@app.command()
def delete(
    only: Only = None,
    context: Context = None,
    dry_run: TryOut = None,
    volumes: Annotated[bool, typer.Option("--volumes", help="Also what holds data: volumes, the secret, our namespace.")] = False,
    yes: Yes = False,
    timeout: Timeout = 300.0,
    as_json: AsJson = False,
) -> None:
    """Take the platform off the cluster. Volumes, the secret and the namespace stay unless --volumes is given."""
    from cluster.apply import deletion
    from cluster.platform import platform

    settings, (_, server) = _settings(), _open(context)
    rendered = [built for _, objects in platform(settings, only or ()) for built in objects]
    going, staying = deletion.deletable(server, settings, rendered, only or (), volumes=volumes)
    lines = display.Lines(quiet=as_json)
    lines.heading(server, settings.cluster.namespace)
    lines.listed("would go" if dry_run else "goes", going)
    lines.listed("stays", staying)
    if going and not dry_run:
        _confirm(f"delete {display.objects(len(going))}?", yes)
    deletion.delete(server, going, dry_run=dry_run is not None, seconds=timeout)
    display.print_remarks(server.warnings)
    if as_json:
        named = {"deleted": going, "spared": staying}
        print(json.dumps({key: [documents.named_as_json(live) for live in objects] for key, objects in named.items()}))
    else:
        print(
            f"{'would delete' if dry_run else 'deleted'} {display.objects(len(going))}" if going else "there is nothing to delete"
        )


@app.command()
def doctor(only: Only = None, context: Context = None, as_json: AsJson = False) -> None:
    """Look for what keeps the platform from running, and say what to do; exit code 1 when something does."""
    from cluster.connection import connect
    from cluster.doctor import diagnose

    findings = diagnose(_settings(), connect(context), only or ())
    if as_json:
        print(json.dumps({"findings": [documents.finding_as_json(finding) for finding in findings]}))
    else:
        display.print_findings(findings)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _settings() -> Settings:
    """Return the settings of the cluster's profile: nobody applies a laptop's."""
    return load_settings("cluster")


def _open(context: str | None) -> tuple[Connection, Server]:
    from cluster.apply.server import Server
    from cluster.connection import connect

    connection = connect(context)
    return connection, Server(connection)


def _prune(
    server: Server, settings: Settings, only: Collection[str], lines: display.Lines, *, asked: bool, yes: bool, dry_run: bool
) -> list[dict[str, Any]]:
    from cluster.apply import deletion
    from cluster.apply.ownership import owned, prunable
    from cluster.platform import platform

    parts = platform(settings, only)
    left = prunable(owned(server, settings, [built for _, objects in parts for built in objects], only), parts)
    if not left:
        return []
    lines.listed("would be pruned" if dry_run or not asked else "is pruned", left)
    if not asked:
        lines.remark("the settings no longer make these; --prune deletes them")
        return []
    if not dry_run:
        _confirm(f"delete {display.objects(len(left))}?", yes)
    deletion.delete(server, left, dry_run=dry_run)
    return [documents.named_as_json(live) for live in left]


def _wait(server: Server, applied: list[Object], seconds: float, quiet: bool) -> list[dict[str, Any]]:
    from cluster.apply.waiting import wait

    with display.waiting(quiet) as show:
        pending = wait(server, applied, seconds, show)
    if not quiet:
        display.print_pending(pending)
    return [documents.pending_as_json(one) for one in pending]


def _refuse(refused: RefusedError, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"refused": [documents.refusal_as_json(one) for one in refused.refusals]}))
    else:
        display.complain_of_refusals(refused.refusals)
    raise refused


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("nobody is there to ask before deleting; --yes goes on without asking")
    typer.confirm(question, abort=True, err=True)
