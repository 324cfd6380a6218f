"""``cia pipeline``: compile, run here, or submit to Kubeflow, watch and schedule."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cia.errors import CiaError, InputError, OperationError
from cia.settings import Settings, load_settings

app = typer.Typer(help="Compile, run here, or submit to Kubeflow.", no_args_is_help=True, rich_markup_mode=None)

TRAVEL = ("corpus.sources", "dataset.", "training.", "evaluation.")
"""Settings that a run takes with it; all others its steps read on the cluster."""

Experiment = Annotated[str | None, typer.Option(help="KFP experiment; default: registry.experiment.")]


@app.command("compile")
def compile_(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the packages.")] = Path("build/pipelines"),
) -> None:
    """Write the packages for Kubeflow; the same bytes each time."""
    from pipelines import compile_pipelines

    for package in compile_pipelines(load_settings(), out):
        print(package)


@app.command("run")
def run() -> None:
    """Run it on this machine; unchanged steps are reused."""
    settings = load_settings()
    if settings.pipeline.engine != "local":
        raise InputError("pipeline.engine is 'kubeflow': use `cia pipeline submit`, or set CIA_PIPELINE__ENGINE=local")
    from cli.run_display import run_display
    from pipelines import run_locally

    with run_display() as display:
        result = run_locally(settings, observe=display)
    print(f"done in {result.seconds:.0f} s; all output is in {result.log}")


@app.command("submit")
def submit(
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    experiment: Experiment = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="For this run: training.steps=200. May be given several times.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Do every step anew.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show what it does until it ends; exit code 1 when it fails.")] = False,
) -> None:
    """Start a run on Kubeflow; print its id and its address."""
    settings = _with_changes(changes or [], no_cache)
    from pipelines import submit as submit_run

    submitted = submit_run(settings, run_name=name, experiment=experiment)
    print(submitted, flush=True)
    if wait:
        _wait(settings, submitted.id)


@app.command("watch")
def watch(run: Annotated[str, typer.Argument(help="Id of a run, as `cia pipeline runs` lists it.")]) -> None:
    """Show a run until it ends; exit code 1 when it fails."""
    _wait(load_settings(), run)


@app.command("runs")
def runs(
    experiment: Experiment = None,
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1, max=100)] = 20,
) -> None:
    """List runs: id, state, decision of the gate, age, name."""
    from pipelines import list_runs

    for one in list_runs(load_settings(), experiment, limit):
        print(f"{one.id}  {one.state:<10} {one.decision or '-':<12} {_age(one.age_seconds):>5}  {one.name}")


@app.command("cancel")
def cancel(run: Annotated[str, typer.Argument(help="Id of a run, as `cia pipeline runs` lists it.")]) -> None:
    """End a run; its TrainJob goes with it."""
    from pipelines import cancel as cancel_run

    cancel_run(load_settings(), run)
    print(f"{run} is being ended")


@app.command("schedule")
def schedule(
    cron: Annotated[str | None, typer.Option(help="Six fields, seconds first, UTC; default: pipeline.schedule.")] = None,
    experiment: Experiment = None,
    delete: Annotated[bool, typer.Option("--delete", help="End it.")] = False,
) -> None:
    """Have Kubeflow index corpus.sources on a schedule.

    Called again with the same settings, it changes nothing.
    """
    from pipelines import schedule_index, unschedule_index

    settings = load_settings()
    if delete and cron:
        raise InputError("--delete ends the schedule, --cron sets it: give one of them")
    made = unschedule_index(settings) if delete else schedule_index(settings, cron, experiment)
    print(f"schedule {made.change}" + (f": {made.cron} ({made.id})" if made.cron else ""))


def _with_changes(changes: list[str], no_cache: bool) -> Settings:
    environment = dict(os.environ)
    for change in changes:
        setting, equals, value = change.partition("=")
        if not equals or not setting.startswith(TRAVEL):
            known = ", ".join(f"{name}*" if name.endswith(".") else name for name in TRAVEL)
            raise InputError(f"--set {change!r} is not SETTING=VALUE of a setting that a run takes with it: {known}")
        environment[f"CIA_{setting.replace('.', '__').upper()}"] = value
    if no_cache:
        environment["CIA_PIPELINE__CACHING"] = "false"
    return load_settings(environment=environment)


def _wait(settings: Settings, run: str) -> None:
    from cli.run_display import run_display
    from pipelines import watch_run

    logs, words = _step_logs(settings, run), dict[str, str]()

    def said() -> list[dict[str, Any]]:
        heard = logs() if logs else []
        words.update({event["cia_step"]: event.get("summary", "") for event in heard})
        return heard

    try:
        with run_display() as display:
            ended = watch_run(settings, run, display, said=said if logs else None)
    except KeyboardInterrupt:
        print(f"the run goes on: `cia pipeline watch {run}` shows it, `cia pipeline cancel {run}` ends it", file=sys.stderr)
        raise typer.Exit(130) from None
    if ended.state != "succeeded":
        raise OperationError(f"the run {run} {ended.state}: {ended.error or words.get('report_run') or 'see'} {ended.address}")
    print(words.get("register_model") or ended.decision or ended.state)


def _step_logs(settings: Settings, run: str) -> Callable[[], list[dict[str, Any]]] | None:
    """What the steps say, where a kubeconfig leads to their pods; None elsewhere: then their states are shown."""
    from cluster.connection import connect
    from pipelines.step_logs import StepLogs

    try:
        api = connect().api
    except CiaError:
        return None
    from kubernetes import client

    return StepLogs(client.CoreV1Api(api), settings.cluster.namespace, run)


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"
