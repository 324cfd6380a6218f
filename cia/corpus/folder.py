"""Reading a plain folder: every file that its ``.gitignore`` files and the rules leave in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pathspec

from cia.corpus import rules
from cia.errors import SourceError


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A file of a plain folder, or (``reason`` set) something that is left out. A pruned folder is one entry."""

    path: str
    size: int
    modified_ns: int
    reason: str | None = None


def walk(root: Path, not_below: Path) -> list[FolderEntry]:
    """Return what is in ``root``, in path order, without reading any file but ``.gitignore``; ``not_below`` is not entered.

    Raises SourceError for a symbolic link that leaves ``root`` and for a folder that cannot be read.
    """
    return sorted(_walk_below(root, "", [], not_below, root), key=lambda entry: entry.path)


def read(root: Path, entry: FolderEntry, at_most: int) -> bytes:
    """Return the content of ``entry``, up to ``at_most`` + 1 bytes. Never follows a symbolic link."""
    try:
        descriptor = os.open(root / entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return file.read(at_most + 1)
    except OSError as error:
        raise _unreadable(root / entry.path, error) from None


def signature(entries: list[FolderEntry]) -> str:
    """Return a digest over paths, sizes and modification times: as long as it stays, no content has changed."""
    digest = hashlib.sha256()
    for entry in entries:
        if entry.reason is None:
            digest.update(f"{entry.path}\0{entry.size}\0{entry.modified_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _walk_below(directory: Path, prefix: str, ignores: list[_Ignore], not_below: Path, root: Path) -> Iterator[FolderEntry]:
    try:
        with os.scandir(directory) as scan:
            children = list(scan)
    except OSError as error:
        raise _unreadable(directory, error) from None
    if any(child.name == ".gitignore" and child.is_file(follow_symlinks=False) for child in children):
        ignores = [*ignores, _Ignore.read(directory / ".gitignore", prefix)]
    for child in children:
        path = prefix + child.name
        if child.is_symlink():
            if not rules.reason_to_skip_folder(child.name) and not _ignored(path, ignores):
                rules.check_link_inside(path, _link_target(child, root), str(root))
            yield FolderEntry(path, 0, 0, rules.SYMLINK)
        elif child.is_dir(follow_symlinks=False):
            reason = rules.reason_to_skip_folder(child.name) or (rules.IGNORED if _ignored(f"{path}/", ignores) else None)
            if Path(child.path) == not_below:
                reason = rules.PRUNED
            if reason:
                yield FolderEntry(path, 0, 0, reason)
            else:
                yield from _walk_below(Path(child.path), f"{path}/", ignores, not_below, root)
        elif not child.is_file(follow_symlinks=False):
            yield FolderEntry(path, 0, 0, rules.SPECIAL)
        elif _ignored(path, ignores):
            yield FolderEntry(path, 0, 0, rules.IGNORED)
        else:
            status = child.stat(follow_symlinks=False)
            yield FolderEntry(path, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class _Ignore:
    """One ``.gitignore`` and the folder it speaks about."""

    prefix: str
    spec: pathspec.GitIgnoreSpec

    @classmethod
    def read(cls, path: Path, prefix: str) -> _Ignore:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return cls(prefix, pathspec.GitIgnoreSpec.from_lines(filter(_usable, lines)))


def _usable(line: str) -> bool:
    try:
        pathspec.GitIgnoreSpec.from_lines([line])
    except ValueError:  # git passes over a pattern that it cannot use
        return False
    return True


def _ignored(path: str, ignores: list[_Ignore]) -> bool:
    """The deepest ``.gitignore`` that speaks about ``path`` decides (gitignore(5))."""
    for ignore in reversed(ignores):
        verdict = ignore.spec.check_file(path.removeprefix(ignore.prefix)).include
        if verdict is not None:
            return verdict
    return False


def _link_target(link: os.DirEntry[str], root: Path) -> str:
    target = os.readlink(link.path)
    inside = os.path.isabs(target) and Path(os.path.normpath(target)).is_relative_to(root)
    return os.path.relpath(target, os.path.dirname(link.path)) if inside else target


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"{path} cannot be read ({error.strerror}); change its rights, or list it in .gitignore")
