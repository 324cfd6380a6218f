"""A child process, and all its children, that cannot outlive the process that started it.

``Leashed`` runs ``python -m cia.leash COMMAND`` in a session of its own. The leash holds one end of a pipe; when the
starter ends for whatever reason, kill -9 included, the kernel closes the other end, and the leash stops the whole group:
first SIGTERM, then SIGKILL. PR_SET_PDEATHSIG alone would not do: it reaches only the direct child.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""


class Leashed:
    """A running command with its children. ``stdout`` and ``stderr`` are as for ``subprocess.Popen``."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cia.leash", *command],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            env={**(os.environ if environment is None else environment), "PYTHONPATH": _with_this_package(environment)},
            cwd=directory,
            start_new_session=True,
        )

    @property
    def group(self) -> int:
        """The process group (and session) of the command."""
        return self.process.pid

    def poll(self) -> int | None:
        """Return the command's exit code, or None while it runs."""
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Return the command's exit code. Raises subprocess.TimeoutExpired."""
        return self.process.wait(timeout)

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """End the whole group: SIGTERM, then SIGKILL after ``grace_seconds``. Safe to call twice."""
        _stop_group(self.group, grace_seconds, reap=self.process)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()


def _with_this_package(environment: Mapping[str, str] | None) -> str:
    known = (os.environ if environment is None else environment).get("PYTHONPATH", "")
    package = str(Path(__file__).resolve().parent.parent)
    return package if not known else f"{package}{os.pathsep}{known}"


def _stop_group(group: int, grace_seconds: float, reap: subprocess.Popen[bytes] | None = None) -> None:
    _signal_group(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        if reap is not None:
            reap.poll()
        if not _signal_group(group, 0):
            break
        time.sleep(0.02)
    else:
        _signal_group(group, signal.SIGKILL)
    if reap is not None:
        reap.wait()


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _hold(command: Sequence[str]) -> int:
    """Run ``command``, stop this process's group when stdin closes, and return the command's exit code."""
    # The group's SIGTERM is meant for the command; the leash stays to see it through.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_default_signals)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.killpg(0, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    return 128 - code if code < 0 else code


def _default_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(_hold(sys.argv[1:]))
