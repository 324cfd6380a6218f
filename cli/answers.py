"""``cia search`` and ``cia ask``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cia.errors import InputError
from cia.retrieval.result import SearchResponse
from cia.settings import load_settings


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("search")(search)
    app.command("ask")(ask)


RepoOption = Annotated[list[str] | None, typer.Option("--repo", help="Only this repository; may be repeated.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def search(
    query: Annotated[str | None, typer.Argument(help="Words, a symbol, a path, or an error message in quotes.")] = None,
    queries: Annotated[Path | None, typer.Option(help='A file of JSON Lines, {"query": "..."} each.')] = None,
    repo: RepoOption = None,
    lang: Annotated[list[str] | None, typer.Option(help="Only this language; may be repeated.")] = None,
    path: Annotated[str | None, typer.Option(help="Only files below this folder, of this name or of this pattern.")] = None,
    limit: Annotated[int | None, typer.Option(help="How many results.", min=1, max=100)] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the definitions, sections and files that a query asks for."""
    if (query is None) == (queries is None):
        raise InputError("give either a QUERY or --queries FILE")
    from cia.retrieval import Retriever

    asked = [("", query)] if query is not None else _read_queries(queries)
    retriever = Retriever(load_settings())
    try:
        for place, one in asked:
            try:
                response = retriever.search(one, repos=repo, limit=limit, languages=lang or (), path=path)
            except InputError as error:
                raise type(error)(f"{place}{error}") from None
            print(json.dumps(response.as_json()) if as_json else _for_people(response))
    finally:
        retriever.close()


def ask(
    question: Annotated[str, typer.Argument(help="A question in plain English.")],
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question about the indexed code, with checked citations."""
    from cia.answering import open_assistant

    with open_assistant(load_settings()) as assistant:
        answer = assistant.ask(question, repos=repo)
    if as_json:
        print(json.dumps(answer.as_json()))
        return
    print(answer.answer)
    for citation in answer.citations:
        print(f"  {citation}  {citation.symbol}")
    for notice in answer.notices:
        print(f"note: {notice}", file=sys.stderr)


def _read_queries(path: Path | None) -> list[tuple[str, str]]:
    """The queries of a file, each after the words that name its line."""
    assert path is not None
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    asked = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            query = json.loads(line)["query"]
        except (ValueError, KeyError, TypeError, RecursionError):
            query = None
        if not isinstance(query, str):
            raise InputError(f'{path} line {number} is not of the form {{"query": "..."}}')
        asked.append((f"{path} line {number}: ", query))
    return asked


def _for_people(response: SearchResponse) -> str:
    lines = [f"note: {notice}" for notice in response.notices]
    for result in response.results:
        place = f"{result.repo}/{result.file_path}:{result.line_start}-{result.line_end}"
        lines.append(f"{result.score:6.2f}  {place}  {result.symbol}  ({result.kind}, {result.commit[:8]})")
    return "\n".join(lines) if lines else "nothing found"
