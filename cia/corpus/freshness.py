"""Whether a local folder is still what was indexed: cheap enough to ask at every search."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from cia.corpus import folder, rules
from cia.corpus.git import GitRepository
from cia.corpus.intake import content_commit
from cia.corpus.snapshot import Snapshot, SourceFile
from cia.corpus.source import LocalGit, parse_source
from cia.errors import SourceError


def moved_past(snapshot: Snapshot, signature: str | None, home: Path, max_file_bytes: int) -> str | None:
    """Return a sentence when the origin of ``snapshot`` no longer holds its commit.

    None when it does, and when there is nothing to compare: a remote, an sdist, a folder that is gone or unreadable.
    ``signature`` is that of the plain folder when it was read; while it still fits, no file is read.
    """
    if snapshot.origin is None or not Path(snapshot.origin).is_dir():
        return None
    try:
        source = parse_source(snapshot.origin)
        if isinstance(source, LocalGit):
            return _git_moved(snapshot, source)
        return _folder_moved(snapshot, signature, home, max_file_bytes)
    except (SourceError, OSError):
        return None


def _git_moved(snapshot: Snapshot, source: LocalGit) -> str | None:
    head, dirty = GitRepository.of(source).head_and_changes()
    if source.work_tree is None and snapshot.revision is not None:
        head = GitRepository.of(source).resolve(snapshot.revision)
    if head == snapshot.commit and not dirty:
        return None
    place = "the repository" if source.work_tree is None else "the working tree"
    what = "it has uncommitted changes" if head == snapshot.commit else f"HEAD is {(head or 'unborn')[:8]}"
    advice = "commit them and " if head == snapshot.commit else ""
    return (
        f"{place} of {snapshot.repo} has moved past the indexed commit {snapshot.commit[:8]} ({what});"
        f" {advice}run `cia index {snapshot.origin}` again"
    )


def _folder_moved(snapshot: Snapshot, signature: str | None, home: Path, max_file_bytes: int) -> str | None:
    root = Path(str(snapshot.origin))
    entries = folder.walk(root, not_below=home)
    if signature is not None and folder.signature(entries) == signature:
        return None
    if content_commit(_accepted(root, entries, max_file_bytes)) == snapshot.commit:
        return None
    return (
        f"the folder of {snapshot.repo} has changed since it was indexed at {snapshot.commit[:8]};"
        f" run `cia index {snapshot.origin}` again"
    )


def _accepted(root: Path, entries: list[folder.FolderEntry], max_file_bytes: int) -> Iterator[SourceFile]:
    for entry in entries:
        if entry.reason is None and entry.size <= max_file_bytes and not rules.reason_to_skip_path(entry.path):
            data = folder.read(root, entry, max_file_bytes)
            if not rules.reason_to_skip_content(data):
                yield SourceFile(entry.path, hashlib.sha256(data).hexdigest(), len(data))
