"""``GET /v1/sources/{repo}/{path}``: the lines that a citation names, and ``GET /v1/repositories``: where they come from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from cia.corpus import decode, split_lines
from cia.errors import InputError, NotIndexedError
from rag_server.services import CurrentServices

router = APIRouter(tags=["sources"])


class SourceLines(BaseModel):
    """Lines ``line_start`` to ``line_end`` (1-based, inclusive) of a file of ``line_count`` lines, without their ends."""

    repo: str
    commit: str
    file_path: str
    line_start: int
    line_end: int
    line_count: int
    lines: list[str]


class Repository(BaseModel):
    """A repository that can be asked about."""

    name: str
    commit: str
    files: int
    chunks: int


@router.get("/v1/sources/{repo}/{path:path}")
def source_lines(
    repo: str,
    path: Annotated[str, Path(description="Relative to the root of the repository.")],
    services: CurrentServices,
    start: Annotated[int, Query(ge=1, description="First line.")] = 1,
    end: Annotated[int | None, Query(ge=1, description="Last line; one beyond the file means its last.")] = None,
    commit: Annotated[str | None, Query(description="The commit of a citation; by default the newest.")] = None,
) -> SourceLines:
    """Return lines of a file at an indexed commit. The path is looked up among the indexed files, never on the disk."""
    snapshot = services.corpus.get(repo, commit)
    if not any(file.path == path for file in snapshot.files):
        raise NotIndexedError(f"{repo} has no indexed file {path!r} at {snapshot.commit[:12]}")
    lines = split_lines(decode(snapshot.read_bytes(path)))
    last = len(lines) if end is None else min(end, len(lines))
    if start > max(len(lines), 1) or (end is not None and end < start):
        raise InputError(f"lines {start} to {end or 'the end'} are not in {path}, which has {len(lines)} lines")
    return SourceLines(
        repo=repo,
        commit=snapshot.commit,
        file_path=path,
        line_start=start,
        line_end=last,
        line_count=len(lines),
        lines=lines[start - 1 : last],
    )


@router.get("/v1/repositories")
def repositories(services: CurrentServices) -> dict[str, list[Repository]]:
    """Return the indexed repositories, by name."""
    indexed = services.retriever.repositories()
    return {
        "repositories": [
            Repository(name=one.name, commit=one.commit, files=one.files, chunks=one.chunks)
            for one in sorted(indexed, key=lambda one: one.name)
        ]
    }
