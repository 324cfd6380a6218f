"""``POST /v1/search``: the chunks that fit a query best."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from rag_server.services import CurrentPrincipal, CurrentServices

router = APIRouter(tags=["search"])


class Search(BaseModel):
    """What is searched for. ``repos`` null searches all repositories; ``path`` is a pattern such as ``src/**/*.py``."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(examples=["parse query string"])
    repos: list[str] | None = Field(default=None, examples=[["httpx"]], max_length=1000)
    limit: int | None = Field(default=None, ge=1, le=100)
    languages: list[str] = Field(default=[], examples=[["python"]], max_length=100)
    path: str | None = Field(default=None, max_length=1000)


@router.post("/v1/search")
def search(asked: Search, services: CurrentServices, principal: CurrentPrincipal) -> dict[str, Any]:
    """Return the best chunks, best first."""
    return services.search(principal, asked.query, asked.repos, asked.limit, asked.languages, asked.path).as_json()
