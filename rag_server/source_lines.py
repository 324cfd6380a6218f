"""Lines of an indexed file."""

from __future__ import annotations

from pydantic import BaseModel

from cia.corpus import Snapshot, decode, split_lines
from cia.errors import InputError, NotIndexedError


class SourceLines(BaseModel):
    """Lines ``line_start`` to ``line_end`` (1-based, inclusive) of a file of ``line_count`` lines, without their ends."""

    repo: str
    commit: str
    file_path: str
    line_start: int
    line_end: int
    line_count: int
    lines: list[str]


def read_lines(snapshot: Snapshot, path: str, start: int = 1, end: int | None = None) -> SourceLines:
    """Return lines of the indexed file ``path``; an ``end`` beyond the file means its last line.

    The path is looked up among the indexed files, never on the disk. Raises NotIndexedError for one that is not among them,
    InputError for lines that the file does not have.
    """
    if not any(file.path == path for file in snapshot.files):
        raise NotIndexedError(f"{snapshot.repo} has no indexed file {path!r} at {snapshot.commit[:12]}")
    lines = split_lines(decode(snapshot.read_bytes(path)))
    last = len(lines) if end is None else min(end, len(lines))
    if start > max(len(lines), 1) or (end is not None and end < start):
        raise InputError(f"lines {start} to {end or 'the end'} are not in {path}, which has {len(lines)} lines")
    return SourceLines(
        repo=snapshot.repo,
        commit=snapshot.commit,
        file_path=path,
        line_start=start,
        line_end=last,
        line_count=len(lines),
        lines=lines[start - 1 : last],
    )
