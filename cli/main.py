"""Entry point of ``cia``: finds the command, and turns every error into one line and an exit code.

Exit codes: 0 done, 1 the work failed, 2 the input was unusable, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer

from cia.errors import CiaError, InputError
from cli import answers, bench, cluster, demo, export, index, models, pipeline, server, users

app = typer.Typer(
    name="cia",
    help="Answers questions about your code, with checked citations.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
index.add_to(app)
answers.add_to(app)
server.add_to(app)
demo.add_to(app)
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(cluster.app, name="cluster")
export.add_to(models.app)
app.add_typer(models.app, name="models")
app.add_typer(users.app, name="users")
app.add_typer(bench.app, name="bench")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``cia`` with ``arguments`` (default: the process's own) and exit with its code."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are one line on stderr."""
    # SIGTERM unwinds like Ctrl-C, so that what a command started is stopped and what it staged is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _apply_profile(arguments)
        outcome = app(arguments, standalone_mode=False, prog_name="cia")
        return outcome if isinstance(outcome, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except CiaError as error:
        return _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted; nothing half-done is left behind", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if usage := _usage_message(error):
            return _complain(usage, 2)
        return _complain(f"a fault in cia itself ({type(error).__name__}: {error}); the traceback is in {_keep_traceback()}", 1)


def _apply_profile(arguments: list[str]) -> None:
    """Take ``--profile NAME`` out of ``arguments``, wherever it stands, and hand it to everything that loads settings."""
    for position, argument in enumerate(arguments):
        if argument == "--":
            return
        if argument == "--profile":
            if position + 1 == len(arguments):
                raise InputError("--profile needs a name: local or cluster")
            os.environ["CIA_PROFILE"] = arguments[position + 1]
            del arguments[position : position + 2]
            return
        if argument.startswith("--profile="):
            os.environ["CIA_PROFILE"] = argument.partition("=")[2]
            del arguments[position]
            return


def _usage_message(error: Exception) -> str | None:
    """Return one line for a mistake in the command's form, None for anything else."""
    if not hasattr(error, "format_message"):
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "cia"
    return f"{error.format_message().rstrip('.')}; see `{command} --help`"


def _keep_traceback() -> Path:
    log = Path(os.environ.get("CIA_HOME") or ".cia").absolute() / "logs" / "faults.log"
    with contextlib.suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {traceback.format_exc()}\n")
    return log


def _complain(message: str, code: int) -> int:
    print(f"cia: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
