"""``cia pipeline``: compile, run here, or submit to Kubeflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cia.errors import InputError
from cia.settings import load_settings

app = typer.Typer(help="Compile, run here, or submit to Kubeflow.", no_args_is_help=True, rich_markup_mode=None)


@app.command("compile")
def compile_(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the packages.")] = Path("build/pipelines"),
) -> None:
    """Write the packages that Kubeflow Pipelines takes; the same bytes every time."""
    from pipelines import compile_pipelines

    for package in compile_pipelines(load_settings(), out):
        print(package)


@app.command("run")
def run() -> None:
    """Run the whole pipeline on this machine; unchanged steps are reused."""
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
    experiment: Annotated[str | None, typer.Option(help="KFP experiment; default: registry.experiment.")] = None,
) -> None:
    """Send the pipeline to the KFP API at pipeline.host and print the run's id."""
    from pipelines import submit as submit_run

    print(submit_run(load_settings(), run_name=name, experiment=experiment))
