"""``cia bench``: what a server does under load."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cia.errors import InputError, OperationError
from cia.settings import load_settings

app = typer.Typer(help="What a server does under load.", no_args_is_help=True, rich_markup_mode=None)

QUESTIONS = (
    "Where are query parameters added to a URL?",
    "How are redirects followed?",
    "How is the user prompted for a missing option?",
    "Where is the timeout of a connection set?",
    "How is basic authentication done?",
    "What happens when a response cannot be decoded?",
    "How are command line options parsed?",
    "Which class pools connections, and how are they closed?",
)
"""About the two code bases of the demo; any server can be asked them."""


@app.callback()
def bench() -> None:
    """Group of one command, so that `cia bench load` has room beside it."""


@app.command()
def load(
    address: Annotated[str, typer.Argument(help="An OpenAI-compatible address (.../v1), or the answer server's .../v1/ask.")],
    rate: Annotated[str, typer.Option(help="Requests a second: 4; stairs 1,2,4; a ramp 1..8; or a mixture.")] = "1",
    seconds: Annotated[float, typer.Option(help="Length of each stair or ramp.", min=0.1)] = 60.0,
    interval: Annotated[float, typer.Option(help="Seconds between two lines.", min=0.1)] = 5.0,
    questions: Annotated[Path | None, typer.Option(help='A question a line, or JSON Lines with "question".')] = None,
    model: Annotated[str | None, typer.Option(help="Model to ask for; default: the first that is listed.")] = None,
    answer_tokens: Annotated[int | None, typer.Option(help="Longest answer; default: model.answer_tokens.", min=1)] = None,
    timeout: Annotated[float, typer.Option(help="Seconds after which an answer is given up.", min=0.1)] = 120.0,
    seed: Annotated[int, typer.Option(help="Fixes the moments of arrival.")] = 7,
    key_variable: Annotated[str | None, typer.Option(help="Variable with the API key; default: that of the model.")] = None,
    inference_service: Annotated[str | None, typer.Option(help="Show its ready replicas beside the figures.")] = None,
    namespace: Annotated[str, typer.Option(help="Namespace of that InferenceService.")] = "default",
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig; default: the current one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end; lines go to stderr.")] = False,
) -> None:
    """Send questions at random moments at a rate, however slow the answers are, and print what came of it, line by line."""
    from inference_services.load import Interval, generate, parse_stages, parse_target
    from inference_services.load.replicas import replica_counter
    from inference_services.load.report import COLUMNS

    settings = load_settings()
    stages = parse_stages(rate, seconds)
    key = os.environ.get(key_variable or settings.model.api_key_variable, "")
    target = parse_target(address, model, answer_tokens or settings.model.answer_tokens, key)
    count_replicas = replica_counter(namespace, inference_service, context) if inference_service else lambda: None
    asked = _read_questions(questions) if questions else QUESTIONS
    lines = sys.stderr if as_json else sys.stdout

    def observe(figures: Interval) -> None:
        print(figures, file=lines, flush=True)

    print("  ".join(COLUMNS), file=lines, flush=True)
    report = asyncio.run(
        generate(
            target,
            stages,
            asked,
            interval_seconds=interval,
            timeout_seconds=timeout,
            seed=seed,
            observe=observe,
            count_replicas=count_replicas,
        )
    )
    print(json.dumps(report.as_json()) if as_json else f"\n{report}")
    if report.errors and all(one.error for one in report.outcomes):
        kinds = ", ".join(f"{count} x {kind}" for kind, count in report.errors.items())
        raise OperationError(f"{target.url} answered none of {len(report.outcomes)} requests: {kinds}")


def _read_questions(path: Path) -> list[str]:
    """Return the questions in a file. Raises InputError when it cannot be read or holds none."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = [_question(line) for line in lines]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f'{path} cannot be read: it holds a question a line, or JSON Lines such as {{"question": "..."}}'
        ) from None
    if not found:
        raise InputError(f"{path} holds no question; write one a line")
    return found


def _question(line: str) -> str:
    if not line.startswith("{"):
        return line
    document: Any = json.loads(line)
    return str(document["question"])
