"""A bare copy of a remote git repository inside the corpus, brought up to date by each add."""

from __future__ import annotations

import shutil
from pathlib import Path

from cia.corpus.git import GitRepository
from cia.corpus.source import RemoteGit


def bring_up_to_date(directory: Path, source: RemoteGit) -> GitRepository:
    """Fetch ``source`` into ``directory`` and return it. The caller holds the repository's lock.

    A fetch that was killed can leave git's own lock files behind, on which the next one would stumble. A mark beside the
    copy says that a fetch is under way; where it is found, the copy is made anew. Raises SourceError when the fetch fails.
    """
    fetching = directory.with_name(f"{directory.name}.fetching")
    if fetching.exists():
        shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    fetching.touch()
    mirror = GitRepository(directory, source.shown)
    mirror.fetch(source.url, source.revision)
    fetching.unlink()
    return mirror
