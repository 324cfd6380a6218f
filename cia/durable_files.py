"""Files that are either the old version or the new one, whatever kills the process.

``replace_text``, ``replace_bytes`` and ``replace_directory`` write beside the target, flush to disk, and rename: the only
step that a reader can see is atomic (POSIX rename(2)). ``exclusive`` is a lock that the
kernel frees when its holder dies, so a kill never leaves a stale one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from cia.errors import BusyError, OperationError

STAGING_MARK = ".staging-"
"""In the name of everything unfinished, so that the next run can recognise and remove it."""


def replace_text(path: Path, text: str) -> None:
    """Make ``path`` hold exactly ``text`` (UTF-8), atomically."""
    replace_bytes(path, text.encode("utf-8"))


def replace_bytes(path: Path, data: bytes) -> None:
    """Make ``path`` hold exactly ``data``, atomically. Raises OperationError when the disk refuses."""
    staging = _staging_path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with staging.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(staging, path)
        except BaseException:
            staging.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def replace_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory that becomes ``path`` when the block ends without an error.

    A directory that stood at ``path`` is replaced. On an error the new one is removed and the old one stays.
    """
    staging = _staging_path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        try:
            yield staging
            if path.exists():
                retired = _staging_path(path)
                os.rename(path, retired)
                os.rename(staging, path)
                shutil.rmtree(retired, ignore_errors=True)
            else:
                os.rename(staging, path)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise


def remove_unfinished(directory: Path) -> int:
    """Remove what a killed process left directly below ``directory``; return how many entries that were.

    Call it only while holding the lock that guards the directory.
    """
    if not directory.is_dir():
        return 0
    leftovers = [entry for entry in directory.iterdir() if STAGING_MARK in entry.name]
    for entry in leftovers:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
    return len(leftovers)


@contextlib.contextmanager
def exclusive(
    lock: Path, purpose: str, wait_seconds: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold ``lock`` while the block runs.

    Waits up to ``wait_seconds`` for another holder, telling ``on_wait`` once; then raises BusyError naming ``purpose``.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    with lock.open("a+") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise BusyError(f"another process is {purpose}; wait for it to end, then try again") from None
                if on_wait and not told:
                    on_wait(f"waiting: another process is {purpose}")
                    told = True
                time.sleep(0.1)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _staging_path(path: Path) -> Path:
    return path.with_name(f".{path.name}{STAGING_MARK}{uuid.uuid4().hex[:8]}")


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or unwritable disk inside the block into an OperationError that names ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OperationError(f"no space left on the disk for {path}; free some and run the same command again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise OperationError(
                f"{path} cannot be written ({error.strerror}); choose another CIA_HOME or change its rights"
            ) from error
        raise
