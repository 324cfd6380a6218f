"""``cia cluster``: what the platform is on Kubernetes, applied, compared, looked at and taken away."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
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
    from cluster.part import Object, Part

app = typer.Typer(help="The platform on Kubernetes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(cluster_secret.app, name="secret")


class DryRun(StrEnum):
    """Who tries it out."""

    server = "server"


Only = Annotated[list[str] | None, typer.Option("--only", help="A part of the platform; may be given several times.")]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig; default: its current one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before anything is deleted or replaced.")]
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
    from cluster.apply.planning import plan

    run = _begin(context, only, as_json)
    found = plan(run.server, run.parts, past_conflicts=True)
    left = run.no_longer_made()
    shown = [
        display.Shown(change, differences(change.live, change.after) if change.live and change.after else [])
        for change in found.changes
        if change.outcome != "unchanged"
    ]
    if as_json:
        print(json.dumps(documents.differences_as_json(run.server, shown, found.refusals, left)))
    else:
        display.print_differences(shown, left, len(found.changes))
        display.complain_of_refusals(found.refusals)
    display.print_remarks(run.server.warnings)
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
    from cluster.apply.applying import RefusedError

    run = _begin(context, only, as_json)
    run.lines.heading(run.server, run.settings.cluster.namespace)
    document = {"context": run.server.context, "namespace": run.settings.cluster.namespace, "dry_run": dry_run is not None}
    pending: list[dict[str, Any]] = []
    try:
        if dry_run:
            document |= _tried_out(run, force_conflicts)
            document["pruned"] = _prune(run, asked=prune, yes=True, dry_run=True)
        else:
            applied, told = _applied(run, force_conflicts)
            document |= told
            document["pruned"] = _prune(run, asked=prune, yes=yes, dry_run=False)
            if not no_wait:
                document["pending"] = pending = _wait(run.server, applied, timeout, as_json)
    except RefusedError as refused:
        _refuse(refused, as_json)
    display.print_remarks(run.server.warnings)
    if as_json:
        print(json.dumps(document))
    if pending:
        raise OperationError(f"not ready: {display.objects(len(pending))}; `cia cluster doctor` looks for causes")


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

    run = _begin(context, only, as_json)
    going, staying = deletion.deletable(run.server, run.settings, run.rendered, run.only, volumes=volumes)
    run.lines.heading(run.server, run.settings.cluster.namespace)
    run.lines.listed("would go" if dry_run else "goes", going)
    run.lines.listed("stays", staying)
    if going and not dry_run:
        _confirm(f"delete {display.objects(len(going))}?", yes)
    deletion.delete(run.server, going, dry_run=dry_run is not None, seconds=timeout)
    display.print_remarks(run.server.warnings)
    if as_json:
        named = {"deleted": going, "spared": staying}
        print(json.dumps({key: [documents.named_as_json(live) for live in objects] for key, objects in named.items()}))
    else:
        done = f"{'would delete' if dry_run else 'deleted'} {display.objects(len(going))}"
        print(done if going else "there is nothing to delete")


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


@app.command("restore-index")
def restore_index(
    snapshot: Annotated[str, typer.Argument(help="Its name, as the snapshot job printed it; default: the newest.")] = "latest",
    context: Context = None,
    yes: Yes = False,
) -> None:
    """Put a snapshot of the index back, in place of the index that is there."""
    from cli.progress_line import progress_line
    from cluster.apply.server import Server
    from cluster.connection import connect
    from cluster.qdrant.restoring import restore_in_cluster

    settings = _settings()
    server = Server(connect(context))
    _confirm(f"replace the index in {settings.cluster.namespace} by the snapshot {snapshot}?", yes)
    with progress_line("restore-index") as progress:
        said = restore_in_cluster(server, settings, snapshot, progress)
    print(said)


@dataclass(frozen=True, slots=True)
class _Run:
    """What a command that talks to a cluster works with."""

    settings: Settings
    connection: Connection
    server: Server
    only: list[str]
    parts: list[tuple[Part, list[Object]]]
    lines: display.Lines

    @property
    def rendered(self) -> list[Object]:
        return [built for _, objects in self.parts for built in objects]

    def no_longer_made(self) -> list[Object]:
        """Return what is on the cluster and could be pruned."""
        from cluster.apply.ownership import owned, prunable

        return prunable(owned(self.server, self.settings, self.rendered, self.only), self.parts)


def _settings() -> Settings:
    """Return the settings of the cluster's profile: nobody applies a laptop's."""
    return load_settings("cluster")


def _begin(context: str | None, only: list[str] | None, quiet: bool) -> _Run:
    from cluster.apply.server import Server
    from cluster.connection import connect
    from cluster.platform import platform

    settings = _settings()
    parts = platform(settings, only or ())
    connection = connect(context)
    return _Run(settings, connection, Server(connection), only or [], parts, display.Lines(quiet))


def _tried_out(run: _Run, force: bool) -> dict[str, Any]:
    from cluster.apply.applying import agreed

    changes = agreed(run.server, run.settings, run.only, force=force).changes
    for change in changes:
        run.lines.outcome(change.part, change.outcome, change.built)
    objects = [documents.outcome_as_json(one.part, one.outcome, one.built) for one in changes]
    run.lines.summary(objects, "would be ")
    return {"objects": objects}


def _applied(run: _Run, force: bool) -> tuple[list[Object], dict[str, Any]]:
    from cluster.apply import applying

    applied, secret = applying.apply(
        run.connection,
        run.server,
        run.settings,
        run.only,
        force=force,
        show=lambda one: run.lines.outcome(one.part, one.outcome, one.after),
    )
    objects = [documents.outcome_as_json(one.part, one.outcome, one.after) for one in applied]
    run.lines.secret(run.settings.cluster.secret, secret)
    run.lines.summary(objects)
    return [one.after for one in applied], {"objects": objects, "secret": documents.secret_as_json(secret)}


def _prune(run: _Run, *, asked: bool, yes: bool, dry_run: bool) -> list[dict[str, Any]]:
    from cluster.apply import deletion

    left = run.no_longer_made()
    if not left:
        return []
    run.lines.listed("would be pruned" if dry_run or not asked else "is pruned", left)
    if not asked:
        run.lines.remark("the settings no longer make these; --prune deletes them")
        return []
    if not dry_run:
        _confirm(f"delete {display.objects(len(left))}?", yes)
    deletion.delete(run.server, left, dry_run=dry_run)
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
        raise InputError("nobody is there to ask before anything is deleted or replaced; --yes goes on without asking")
    typer.confirm(question, abort=True, err=True)
