"""``GET /v1/sources/{repo}/{path}``: the lines that a citation names, and ``GET /v1/repositories``: where they come from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from rag_server.services import CurrentPrincipal, CurrentServices
from rag_server.source_lines import SourceLines

router = APIRouter(tags=["sources"])


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
    principal: CurrentPrincipal,
    start: Annotated[int, Query(ge=1, description="First line.")] = 1,
    end: Annotated[int | None, Query(ge=1, description="Last line; one beyond the file means its last.")] = None,
    commit: Annotated[str | None, Query(description="The commit of a citation; by default the newest.")] = None,
) -> SourceLines:
    """Return lines of a file at an indexed commit. The path is looked up among the indexed files, never on the disk."""
    return services.source(principal, repo, path, start, end, commit)


@router.get("/v1/repositories")
def repositories(services: CurrentServices, principal: CurrentPrincipal) -> dict[str, list[Repository]]:
    """Return the indexed repositories that you may read, by name."""
    return {
        "repositories": [
            Repository(name=one.name, commit=one.commit, files=one.files, chunks=one.chunks)
            for one in services.repositories(principal)
        ]
    }
