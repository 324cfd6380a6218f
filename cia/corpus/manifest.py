"""What is known about a repository on disk: a manifest per commit, and which commit is the current one.

``<repo>/commits/<commit>.json`` is written when all its blobs are; ``<repo>/current.json`` after that. A commit exists when
its manifest does, a repository when its ``current.json`` does: whatever a kill leaves in between is invisible and written again.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cia.corpus import rules
from cia.corpus.intake import Content, Outcome
from cia.corpus.snapshot import Snapshot, SourceFile
from cia.durable_files import remove_unfinished, replace_text
from cia.errors import OperationError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """A snapshot as it is stored, with what makes the next add of the same repository cheap.

    ``git_outcomes`` maps git's own blob ids to what came of their contents.
    """

    snapshot: Snapshot
    max_file_bytes: int
    git_outcomes: dict[str, Outcome] = field(default_factory=dict)
    rules_version: int = rules.VERSION

    def same_rules(self, max_file_bytes: int) -> bool:
        """Whether the files would be chosen in the same way today."""
        return self.rules_version == rules.VERSION and self.max_file_bytes == max_file_bytes


@dataclass(frozen=True, slots=True)
class Current:
    """The newest snapshot of a repository. ``identity`` names its source; ``signature`` a plain folder as it was then."""

    commit: str
    identity: str
    signature: str | None = None


class RepositoryFiles:
    """The folder of one repository in the corpus."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = directory / "blobs"
        self.mirror = directory / "mirror.git"
        self._commits = directory / "commits"
        self._current = directory / "current.json"

    def current(self) -> Current | None:
        """Return the current commit, or None when there is no such repository."""
        document = _read(self._current)
        return Current(document["commit"], document["identity"], document["signature"]) if document else None

    def set_current(self, current: Current) -> None:
        """Make ``current`` what readers see from now on."""
        replace_text(self._current, json.dumps(asdict(current), indent=1))

    def remove_leftovers(self) -> None:
        """Remove what a killed writer left. The caller holds the repository's lock."""
        for directory in (self.directory, self._commits, self.blobs):
            remove_unfinished(directory)

    def clear(self) -> None:
        """Remove everything, what makes the repository visible first. The caller holds the repository's lock."""
        self._current.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def commits(self) -> list[str]:
        """Return the stored commits in alphabetical order."""
        return sorted(path.stem for path in self._commits.glob("[0-9a-f]*.json"))

    def manifest(self, commit: str) -> Manifest | None:
        """Return the manifest of ``commit`` (the full id), or None."""
        document = _read(self._commits / f"{commit}.json")
        return self._from_json(document) if document else None

    def write_manifest(self, manifest: Manifest) -> None:
        """Store ``manifest``; its blobs must be stored already."""
        replace_text(self._commits / f"{manifest.snapshot.commit}.json", json.dumps(_as_json(manifest)))

    def drop_manifest(self, commit: str) -> None:
        """Remove the manifest of ``commit``."""
        (self._commits / f"{commit}.json").unlink(missing_ok=True)

    def _from_json(self, document: dict[str, Any]) -> Manifest:
        snapshot = Snapshot(
            repo=self.directory.name,
            commit=document["commit"],
            source=document["source"],
            origin=document["origin"],
            revision=document["revision"],
            blobs=self.blobs,
            files=tuple(SourceFile(*row) for row in document["files"]),
            skipped=document["skipped"],
        )
        return Manifest(
            snapshot=snapshot,
            max_file_bytes=document["max_file_bytes"],
            git_outcomes={
                git_blob: outcome if isinstance(outcome, str) else Content(*outcome)
                for git_blob, outcome in document["git_outcomes"].items()
            },
            rules_version=document["rules_version"],
        )


def _as_json(manifest: Manifest) -> dict[str, Any]:
    snapshot = manifest.snapshot
    return {
        "format": FORMAT,
        "commit": snapshot.commit,
        "source": snapshot.source,
        "origin": snapshot.origin,
        "revision": snapshot.revision,
        "files": [[file.path, file.blob, file.size] for file in snapshot.files],
        "skipped": snapshot.skipped,
        "max_file_bytes": manifest.max_file_bytes,
        "rules_version": manifest.rules_version,
        "git_outcomes": manifest.git_outcomes,
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OperationError(f"{path} cannot be read ({error}); remove the file, then index the repository again") from None
    if not isinstance(document, dict) or document.get("format", FORMAT) != FORMAT:
        raise OperationError(f"{path} was written by another version; remove the file, then index the repository again")
    return document
