"""Which generation of each repository readers open, and which one is prepared: small files, each replaced in one step.

    index/<repo>/current.json    the generation that readers open
    index/<repo>/prepared.json   one that is whole and waits for the switch
    index/<repo>/confirmed       by its age: when a run last found that the current one is up to date
    index/switch.json            while several repositories are switched: what each of them is switched to

Writing ``switch.json`` is the switch of all that it names: it stands above their ``current.json`` until those say the same.
What a killed switch left to be done, the next writer of each repository does.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

from cia.durable_files import exclusive, replace_text
from cia.errors import OperationError
from cia.retrieval.store import IndexedRepository

CURRENT = "current.json"
PREPARED = "prepared.json"
CONFIRMED = "confirmed"
SWITCH = "switch.json"
LOCK_WAIT_SECONDS = 60.0


class Pointers:
    """The pointer files below ``directory``. Whoever changes those of a repository holds that repository's lock."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def folder(self, repo: str) -> Path:
        """Return the folder of a repository's generations."""
        return self._directory / quote(repo, safe="").replace(".", "%2E")

    def names(self) -> list[str]:
        """Return every repository that has a current generation, in order."""
        if not self._directory.is_dir():
            return []
        pointed = {unquote(entry.name) for entry in self._directory.iterdir() if (entry / CURRENT).is_file()}
        return sorted(pointed | self._switch().keys())

    def current(self, repo: str) -> IndexedRepository | None:
        """Return what readers open, None when there is nothing. Raises ``damaged`` when the file cannot be read."""
        folder, switched = self.folder(repo), self._switch().get(repo)
        record = switched or _read(folder / CURRENT, repo)
        files = (self._directory / SWITCH if switched else folder / CURRENT, folder / CONFIRMED)
        return replace(record, indexed_at=max(map(_written, files))) if record else None

    def prepared(self, repo: str) -> IndexedRepository | None:
        """Return what waits for the switch, None when nothing does. Raises ``damaged`` when the file cannot be read."""
        return _read(self.folder(repo) / PREPARED, repo)

    def version(self, repo: str) -> tuple[int, int] | None:
        """Return something that changes with every switch, from stat(2) alone; None when there is no current generation."""
        switch, current = self._directory / SWITCH, self.folder(repo) / CURRENT
        for pointer in (switch, current) if repo in self._switch() else (current,):
            with contextlib.suppress(FileNotFoundError):  # a switch that has ended since is in `current`
                status = pointer.stat()
                return status.st_mtime_ns, status.st_ino
        return None

    def confirm(self, repo: str) -> None:
        """Write down that the current generation is up to date as of now."""
        replace_text(self.folder(repo) / CONFIRMED, "")

    def set_current(self, record: IndexedRepository) -> None:
        """Switch one repository; what was prepared for it is forgotten."""
        _write(self.folder(record.name) / CURRENT, record)
        self.forget_prepared(record.name)

    def set_prepared(self, record: IndexedRepository) -> None:
        """Let ``record`` wait for the switch."""
        _write(self.folder(record.name) / PREPARED, record)

    def forget_prepared(self, repo: str) -> None:
        """Let nothing wait."""
        (self.folder(repo) / PREPARED).unlink(missing_ok=True)

    def forget(self, repo: str) -> None:
        """Let the repository have no generation."""
        self.forget_prepared(repo)
        (self.folder(repo) / CURRENT).unlink()

    def set_all_current(self, records: Mapping[str, IndexedRepository]) -> None:
        """Switch all of ``records`` at once: readers see every one of them from one moment on, or none."""
        with self._switching():
            self._write_switch({**self._switch(), **records})
        for repo in records:
            self.settle(repo)

    def settle(self, repo: str) -> None:
        """Bring ``current.json`` to what a switch says, also one that was killed."""
        if repo not in self._switch():
            return
        with self._switching():
            switch = self._switch()
            self.set_current(switch.pop(repo))
            self._write_switch(switch)

    def _switching(self) -> AbstractContextManager[None]:
        return exclusive(self._directory / "switch.lock", "switching the index", LOCK_WAIT_SECONDS)

    def _switch(self) -> dict[str, IndexedRepository]:
        try:
            stored = json.loads((self._directory / SWITCH).read_text(encoding="utf-8"))
            return {repo: IndexedRepository(**record) for repo, record in stored.items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}  # there is none, or it is damaged: what it stood above is still there

    def _write_switch(self, switch: Mapping[str, IndexedRepository]) -> None:
        path = self._directory / SWITCH
        if switch:
            replace_text(path, json.dumps({repo: record.as_json() for repo, record in switch.items()}, indent=1))
        else:
            path.unlink(missing_ok=True)


def damaged(repo: str, error: BaseException) -> OperationError:
    """Return the error for a repository whose index cannot be read."""
    return OperationError(
        f"the index of {repo} is damaged or of another release ({_one_line(error)}); run `cia index` on it again"
    )


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _read(path: Path, repo: str) -> IndexedRepository | None:
    try:
        return IndexedRepository(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OSError) as error:
        raise damaged(repo, error) from error


def _write(path: Path, record: IndexedRepository) -> None:
    replace_text(path, json.dumps(record.as_json(), indent=1))
