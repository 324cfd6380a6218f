"""From a source to a stored manifest: one method per kind of source, all through the same ``Intake``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cia.corpus import folder, rules, sdist
from cia.corpus.blobs import BlobStore
from cia.corpus.git import GitRepository, TreeEntry
from cia.corpus.intake import Content, Intake, Outcome, content_commit
from cia.corpus.manifest import Manifest, RepositoryFiles
from cia.corpus.mirror import bring_up_to_date
from cia.corpus.snapshot import Snapshot
from cia.corpus.source import Folder, LocalGit, PackageIndex, RemoteGit, SdistFile, Source
from cia.progress import Progress

SYMLINK_MODE = "120000"
SUBMODULE_MODE = "160000"


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads sources into one repository of the corpus. Its caller holds the repository's lock.

    ``home`` is the state folder (never read as part of a source); ``sdists`` keeps downloaded packages.
    """

    files: RepositoryFiles
    blobs: BlobStore
    home: Path
    sdists: Path
    max_file_bytes: int
    progress: Progress

    def read(self, source: Source, newest: str | None) -> tuple[Snapshot, str | None]:
        """Store what ``source`` holds now; return its snapshot and, for a plain folder, its signature.

        ``newest`` is the commit that was read last: what git says it shares with this one is not read again.
        """
        match source:
            case LocalGit():
                return self._read_git(source, GitRepository.of(source), newest, origin=str(source.path)), None
            case RemoteGit():
                self.progress("fetching", 0, 0)
                return self._read_git(source, bring_up_to_date(self.files.mirror, source), newest, origin=None), None
            case Folder():
                return self._read_folder(source)
            case SdistFile():
                return self._read_sdist(source, source.path), None
            case PackageIndex():
                archive = sdist.download(source.project, source.version, self.sdists, self.progress)
                return self._read_sdist(source, archive), None

    def _read_git(
        self, source: LocalGit | RemoteGit, repository: GitRepository, newest: str | None, origin: str | None
    ) -> Snapshot:
        commit = repository.resolve(source.revision)
        stored = self._manifest(commit)
        if stored and all(self.blobs.holds(file.blob, file.size) for file in stored.snapshot.files):
            snapshot = replace(stored.snapshot, source=source.shown, origin=origin, revision=source.revision)
            if snapshot != stored.snapshot:
                self.files.write_manifest(replace(stored, snapshot=snapshot))
            return snapshot
        known = stored or (self._manifest(newest) if newest else None)
        intake = Intake(self.blobs, self.max_file_bytes)
        outcomes = self._take_tree(repository, commit, source.shown, intake, known.git_outcomes if known else {})
        return self._store(source, commit, intake, origin, source.revision, outcomes)

    def _take_tree(
        self, repository: GitRepository, commit: str, shown: str, intake: Intake, known: dict[str, Outcome]
    ) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        with repository.objects() as content_of:
            wanted = [entry for entry in repository.tree(commit) if _wanted(entry, content_of, shown, intake)]
            for number, entry in enumerate(wanted, start=1):
                outcome = outcomes.get(entry.blob) or known.get(entry.blob)
                if outcome is None or (isinstance(outcome, Content) and not self.blobs.holds(*outcome)):
                    outcome = intake.judge(content_of(entry.blob))
                outcomes[entry.blob] = outcome
                intake.record(entry.path, outcome)
                self.progress("reading files", number, len(wanted))
        return outcomes

    def _read_folder(self, source: Folder) -> tuple[Snapshot, str]:
        intake = Intake(self.blobs, self.max_file_bytes)
        entries = folder.walk(source.path, not_below=self.home)
        for number, entry in enumerate(entries, start=1):
            if entry.reason:
                intake.skip(entry.reason)
            elif intake.wants(entry.path, entry.size):
                data = folder.read(source.path, entry, self.max_file_bytes)
                intake.record(entry.path, intake.judge(data) if len(data) <= self.max_file_bytes else rules.TOO_LARGE)
            self.progress("reading files", number, len(entries))
        snapshot = self._store(source, None, intake, origin=str(source.path))
        return snapshot, folder.signature(entries)

    def _read_sdist(self, source: SdistFile | PackageIndex, archive: Path) -> Snapshot:
        intake = Intake(self.blobs, self.max_file_bytes)
        sdist.unpack(archive, source.shown, intake, self.progress)
        return self._store(source, None, intake, origin=None)

    def _store(
        self,
        source: Source,
        commit: str | None,
        intake: Intake,
        origin: str | None,
        revision: str | None = None,
        outcomes: dict[str, Outcome] | None = None,
    ) -> Snapshot:
        files = intake.files(source.shown)
        snapshot = Snapshot(
            repo=self.files.directory.name,
            commit=commit or content_commit(files),
            source=source.shown,
            origin=origin,
            blobs=self.files.blobs,
            files=files,
            skipped=intake.skipped,
            revision=revision,
        )
        self.files.write_manifest(Manifest(snapshot, self.max_file_bytes, outcomes or {}))
        return snapshot

    def _manifest(self, commit: str) -> Manifest | None:
        """The manifest of ``commit``, if its files were chosen by the rules of today."""
        manifest = self.files.manifest(commit)
        return manifest if manifest and manifest.same_rules(self.max_file_bytes) else None


def _wanted(entry: TreeEntry, content_of: Callable[[str], bytes], shown: str, intake: Intake) -> bool:
    rules.check_inside(entry.path, shown)
    if entry.mode == SUBMODULE_MODE:
        intake.skip(rules.SUBMODULE)
        return False
    if entry.mode == SYMLINK_MODE:
        rules.check_link_inside(entry.path, content_of(entry.blob).decode(errors="replace"), shown)
        intake.skip(rules.SYMLINK)
        return False
    return intake.wants(entry.path, entry.size)
