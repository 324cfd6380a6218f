"""How a training ends that does not end well: told to stop, or out of memory."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from cia.errors import OperationError
from runtimes.run_log import RunLog

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that SIGTERM ended."""


@contextlib.contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Make SIGTERM raise SystemExit while the block runs, so that what is open is closed; a second one ends the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def recorded(run: RunLog) -> Iterator[None]:
    """Close ``run`` as FINISHED, FAILED, or KILLED when the block was interrupted or told to stop."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


@contextlib.contextmanager
def memory_errors(options: argparse.Namespace) -> Iterator[None]:
    """Turn want of memory, on the CPU or a GPU, into an OperationError that names the settings to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
            raise OperationError(f"the memory does not hold this training; {_remedies(options)}") from error
        raise


def _remedies(options: argparse.Namespace) -> str:
    remedies = ["raise training.gradient_accumulation", "lower training.max_tokens"]
    if options.gradient_checkpointing != "on":
        remedies.insert(1, "set training.gradient_checkpointing to true")
    if options.quantization != "nf4":
        remedies.append("set training.quantization to nf4")
    if "grpo" in options.method:
        remedies.append("lower training.grpo.answers")
    return ", ".join(remedies[:-1]) + f" or {remedies[-1]}"
