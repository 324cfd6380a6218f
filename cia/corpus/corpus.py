"""The corpus: every repository that the assistant knows, at the commits it was indexed at."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from contextlib import AbstractContextManager

from cia.corpus import freshness
from cia.corpus.blobs import BlobStore
from cia.corpus.manifest import Current, RepositoryFiles
from cia.corpus.reading import Reader
from cia.corpus.snapshot import Snapshot
from cia.corpus.source import check_name, parse_source
from cia.durable_files import disk_errors, exclusive
from cia.errors import InputError, NotIndexedError
from cia.progress import Progress, silent
from cia.settings import Settings

LOCK_WAIT_SECONDS = 600.0
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Corpus:
    """Repositories below ``settings.home/corpus``. Any number of processes may use it at once."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._root = settings.home / "corpus"
        self._max_file_bytes = settings.corpus.max_file_bytes

    def add(self, source: str, name: str | None = None, progress: Progress = silent) -> Snapshot:
        """Bring ``source`` in, or up to date, under ``name`` (default: after the source) and return its snapshot.

        Raises SourceError when the source cannot be read, InputError when the name is unusable or taken by another source.
        """
        parsed = parse_source(source)
        repo = check_name(name if name is not None else parsed.default_name)
        with self._locked(repo, progress):
            files = RepositoryFiles(self._root / repo)
            blobs = BlobStore(files.blobs)
            known = files.current()
            if known is None:
                files.clear()  # a first add or a removal that was killed: nothing there can be relied on
            elif known.identity != parsed.identity:
                raise InputError(f"the name {repo!r} belongs to another source ({known.identity}); pass --name with another one")
            files.remove_leftovers()
            reader = Reader(files, blobs, self._home, self._root / ".sdists", self._max_file_bytes, progress)
            snapshot, signature = reader.read(parsed, newest=known.commit if known else None)
            current = Current(snapshot.commit, parsed.identity, signature)
            if current != known:
                files.set_current(current)
            return snapshot

    def get(self, repo: str, commit: str | None = None) -> Snapshot:
        """Return ``repo`` at ``commit`` (a full id; default: the newest). Raises NotIndexedError when there is none."""
        current = RepositoryFiles(self._root / repo).current() if repo in self._names() else None
        if current is None:
            raise self._not_indexed(repo)
        wanted = commit or current.commit
        manifest = RepositoryFiles(self._root / repo).manifest(wanted) if _COMMIT.fullmatch(wanted) else None
        if manifest is None:
            raise NotIndexedError(f"{repo} is not indexed at commit {wanted!r}; the newest is {current.commit}")
        return manifest.snapshot

    def snapshots(self) -> list[Snapshot]:
        """Return the newest snapshot of each repository, in the order of their names."""
        snapshots = []
        for repo in self._names():
            with contextlib.suppress(NotIndexedError):  # removed by another process since it was listed
                snapshots.append(self.get(repo))
        return snapshots

    def remove(self, repo: str) -> None:
        """Forget ``repo`` and everything stored for it. Raises NotIndexedError when there is no such repository."""
        if repo not in self._names():
            raise self._not_indexed(repo)
        with self._locked(repo, silent):
            RepositoryFiles(self._root / repo).clear()

    def prune(self, repo: str, keep: Collection[str]) -> None:
        """Drop the commits of ``repo`` that are neither in ``keep`` nor the newest, and the contents only they hold."""
        self.get(repo)
        with self._locked(repo, silent):
            files = RepositoryFiles(self._root / repo)
            current = files.current()
            if current is None:  # removed while this waited for the lock
                return
            needed: set[str] = set()
            for commit in files.commits():
                if commit != current.commit and commit not in keep:
                    files.drop_manifest(commit)
                elif manifest := files.manifest(commit):
                    needed.update(file.blob for file in manifest.snapshot.files)
            BlobStore(files.blobs).sweep(needed)

    def moved_past(self, snapshot: Snapshot) -> str | None:
        """Return a sentence when the local folder that ``snapshot`` came from is no longer at its commit, else None."""
        current = RepositoryFiles(self._root / snapshot.repo).current()
        signature = current.signature if current and current.commit == snapshot.commit else None
        return freshness.moved_past(snapshot, signature, self._home, self._max_file_bytes)

    def _names(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(path.parent.name for path in self._root.glob("[!.]*/current.json"))

    def _not_indexed(self, repo: str) -> NotIndexedError:
        return NotIndexedError(f"there is no repository {repo!r}; indexed: {', '.join(self._names()) or 'none yet'}")

    def _locked(self, repo: str, progress: Progress) -> AbstractContextManager[None]:
        locks = self._root / ".locks"
        with disk_errors(locks):
            locks.mkdir(parents=True, exist_ok=True)
        return exclusive(
            locks / f"{repo}.lock",
            purpose=f"indexing {repo}",
            wait_seconds=LOCK_WAIT_SECONDS,
            on_wait=lambda message: progress(message, 0, 0),
        )
