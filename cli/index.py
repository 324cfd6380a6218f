"""``cia index``: make repositories searchable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from cia.errors import CiaError, InputError, OperationError
from cia.settings import load_settings
from cli.progress_line import progress_line

if TYPE_CHECKING:
    from cia.retrieval import IndexReport


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("index")(index)


def index(
    sources: Annotated[list[str], typer.Argument(help="A folder, a git URL or path with @REV, pypi:NAME==VERSION, or an sdist.")],
    name: Annotated[str | None, typer.Option(help="Call the repository this; only with one SOURCE.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Index repositories at their present commits; only what has changed is read again.

    One that cannot be indexed keeps no other from it; exit code 1 then tells of it.
    """
    if name is not None and len(sources) > 1:
        raise InputError(f"--name goes with one SOURCE, and {len(sources)} were given; index them one by one")
    from cia.retrieval import Indexer

    indexer = Indexer(load_settings())
    reports: list[IndexReport] = []
    failures: list[CiaError] = []
    for source in sources:
        try:
            with progress_line(f"index {source}", show=not as_json) as progress:
                report = indexer.index(source, name=name, progress=progress)
        except CiaError as error:
            failures.append(error)
            continue
        reports.append(report)
        if not as_json:
            print(
                f"{report.name} at {report.commit[:12]}: {report.files} files, {report.chunks} chunks "
                f"({report.added} added, {report.updated} updated, {report.deleted} deleted), "
                f"{report.skipped} files skipped, {report.seconds:.1f} s"
            )
    if failures and len(sources) == 1:
        raise failures[0]
    if as_json:
        print(json.dumps({"repos": [report.as_json() for report in reports]}))
    if failures:
        raise OperationError(f"{len(failures)} of {len(sources)} sources were not indexed: {'; '.join(map(str, failures))}")
