"""The versions on this machine's disk: whole or absent, each in a folder of its own, and never removed under a reader.

    CACHE/<registry>/<version>-<digest>/   adapter_config.json, adapter_model.safetensors, registered.json
    CACHE/.staging-*/                      being downloaded or removed; locked by whoever does it
    CACHE/.lock                            held for every change of names, for moments only

``<registry>`` stands for its address, so that a version 1 of another registry is another folder, and ``<digest>`` for the
content, so that a version 1 of a registry that was made anew is too. Whoever serves a folder holds a shared flock(2) on it,
which the kernel frees when its process dies; a folder is removed only under an exclusive one. Several vLLM may share a cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from code_assistant_lora_resolver.errors import NotNow
from code_assistant_lora_resolver.registry_client import RegisteredVersion

RECORD = "registered.json"
"""In each folder: which version of which run it holds, and the checksums of its files."""

STAGING = ".staging-"
REGISTRY_FOLDER = re.compile("[0-9a-f]{12}")
VERSION_FOLDER = re.compile("[1-9][0-9]{0,8}-[0-9a-f]{12}")

LOCK_SECONDS = 10.0
"""The lock is held for moments; whoever does not get it in this time shares the cache with a stopped process."""


@dataclass(frozen=True, slots=True)
class CachedVersion:
    """A version on the disk. ``path`` is what vLLM is given, ``number`` None when the folder is another registry's."""

    path: Path
    number: int | None
    bytes: int
    last_used: float
    held: bool


class AdapterCache:
    """The versions of one registry's model in a cache folder. Its methods block for moments; any thread may call."""

    def __init__(self, folder: Path, registry: str) -> None:
        self._folder = folder
        self._mine = folder / hashlib.sha256(registry.encode()).hexdigest()[:12]
        self._holding: dict[Path, int] = {}

    def newest(self, number: int) -> RegisteredVersion | None:
        """Return the version that was last used here under this number, as the registry described it; None without one."""
        with contextlib.suppress(OSError):
            found = sorted(self._mine.glob(f"{number}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
            return next((record for path in found if (record := _read_record(path)) is not None), None)
        return None

    def hold(self, version: RegisteredVersion) -> Path | None:
        """Return the folder of a version, kept from being removed until this process gives it up; None when it is not here."""
        path = self._path(version)
        with self._guard():
            return path if self._hold(path) else None

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield an empty folder for a download, removed with all in it at the end; what was moved out of it stays."""
        path = self._folder / f"{STAGING}{uuid.uuid4().hex}"
        with self._guard():
            path.mkdir()
            lock = _lock(path, fcntl.LOCK_EX)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            if lock is not None:
                os.close(lock)

    def keep(self, downloaded: Path, version: RegisteredVersion) -> Path:
        """Make the checked files in ``downloaded`` the version's folder, hold it and return it.

        A folder that is there already, damaged or made by another process meanwhile, has its files replaced one by one: each is
        the old or the new one at every moment, whoever reads it.
        """
        (downloaded / RECORD).write_text(json.dumps(asdict(version)), encoding="utf-8")
        for file in [*downloaded.iterdir(), downloaded]:
            _flush(file)
        path = self._path(version)
        with self._guard():
            path.parent.mkdir(exist_ok=True)
            if path.exists():
                for file in downloaded.iterdir():
                    os.replace(file, path / file.name)
            else:
                os.rename(downloaded, path)
            _flush(path.parent)
            if not self._hold(path):
                raise NotNow(f"the adapter cache cannot keep version {version.number}; ask again")
        return path

    def contents(self) -> list[CachedVersion]:
        """Return what counts against this process's bounds: all that it holds, and all that nobody does."""
        found = []
        with self._guard():
            self._sweep()
            for path in self._folders():
                held = path in self._holding
                if not held:
                    if (lock := _lock(path, fcntl.LOCK_EX)) is None:
                        continue  # another vLLM's, which counts it
                    os.close(lock)
                with contextlib.suppress(OSError):
                    number = int(path.name.partition("-")[0]) if path.parent == self._mine else None
                    size = sum(file.stat().st_size for file in path.iterdir())
                    found.append(CachedVersion(path, number, size, path.stat().st_mtime, held))
        return found

    def remove(self, path: Path, unless: Callable[[], bool] = lambda: False) -> bool:
        """Give the folder up and remove it; return whether it is gone.

        It stays when another vLLM holds it, and when ``unless()``, asked at the last moment, says that it is wanted again.
        """
        retired = self._folder / f"{STAGING}{uuid.uuid4().hex}"
        with self._guard():
            if unless():
                return False
            if (mine := self._holding.pop(path, None)) is not None:
                os.close(mine)
            if (lock := _lock(path, fcntl.LOCK_EX)) is None:
                return False
            os.rename(path, retired)
        try:
            shutil.rmtree(retired, ignore_errors=True)
        finally:
            os.close(lock)
        return True

    def _path(self, version: RegisteredVersion) -> Path:
        return self._mine / f"{version.number}-{version.digest}"

    def _hold(self, path: Path) -> bool:
        if path not in self._holding:
            if not (path / RECORD).is_file() or (lock := _lock(path, fcntl.LOCK_SH)) is None:
                return False
            self._holding[path] = lock
        os.utime(path)
        return True

    def _folders(self) -> Iterator[Path]:
        """Every version's folder, of all registries. What does not look like one is left alone, and so is what is linked."""
        for registry in self._folder.iterdir():
            if REGISTRY_FOLDER.fullmatch(registry.name) and registry.is_dir() and not registry.is_symlink():
                for path in registry.iterdir():
                    if VERSION_FOLDER.fullmatch(path.name):
                        yield path

    def sweep(self) -> None:
        """Remove what killed processes left unfinished."""
        with self._guard():
            self._sweep()

    def _sweep(self) -> None:
        """Remove what killed processes were downloading or removing: nobody holds a lock on it any more."""
        for path in self._folder.glob(f"{STAGING}*"):
            if (lock := _lock(path, fcntl.LOCK_EX)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Hold the cache's lock, against other threads and other processes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + LOCK_SECONDS
        with (self._folder / ".lock").open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise NotNow("another process holds the adapter cache; look for a vLLM that was stopped") from None
                    time.sleep(0.01)
            yield


def _lock(path: Path, kind: int) -> int | None:
    """Return a descriptor of the folder with a lock on it; None when another descriptor's lock is in the way."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _read_record(path: Path) -> RegisteredVersion | None:
    try:
        return RegisteredVersion(**json.loads((path / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
