"""What an agent can call over MCP: search, ask, read, and see what there is to search.

Each tool is a function of the services, of whom the call is from, and of its checked arguments. It returns a document in the
shape that its schema promises, and the same as text for a model to read. Code in a text is fenced: it is data.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from anyio.to_thread import run_sync
from mcp_types import Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cia.answering import Answer, Event
from cia.retrieval import SearchResponse
from rag_server.access import Principal
from rag_server.event_stream import ThreadedStream
from rag_server.services import Asked, Services
from rag_server.source_lines import SourceLines

LINES_AT_ONCE = 500
"""Lines of a file that are read unless an end is given: what a model can take in besides its other work."""

Result = tuple[dict[str, Any], str]

Repos = Field(default=None, max_length=1000, description="Names of repositories; all that you may read when left out.")


class Arguments(BaseModel):
    """Arguments of a tool. An unknown one is refused, so that a model learns of its mistake."""

    model_config = ConfigDict(extra="forbid")


class SearchArguments(Arguments):
    """Arguments of ``search_code``."""

    query: str = Field(description="Words, names or a question; an exact symbol finds its definition.")
    repos: list[str] | None = Repos
    limit: int = Field(default=10, ge=1, le=100, description="How many places at most.")
    languages: list[str] = Field(default=[], max_length=100, description="Only these, for example python or go.")
    path: str | None = Field(default=None, max_length=1000, description="Only paths that match, for example src/**/*.py.")


class AskArguments(Arguments):
    """Arguments of ``ask_codebase``."""

    question: str = Field(description="A question about the code, complete in itself.")
    repos: list[str] | None = Repos


class ReadArguments(Arguments):
    """Arguments of ``read_source``."""

    repo: str = Field(description="Name of the repository.")
    path: str = Field(description="Relative to the root of the repository.")
    start: int = Field(default=1, ge=1, description="First line.")
    end: int | None = Field(default=None, ge=1, description=f"Last line; {LINES_AT_ONCE} lines when left out.")
    commit: str | None = Field(default=None, description="The commit of a citation; the newest when left out.")


class NoArguments(Arguments):
    """Arguments of ``list_repositories``: none."""


class Repository(BaseModel):
    """A repository that can be searched."""

    name: str
    commit: str
    files: int
    chunks: int


class Repositories(BaseModel):
    """What ``list_repositories`` returns."""

    repositories: list[Repository]


@dataclass(frozen=True, slots=True)
class CodeTool:
    """A tool: its name, what it is for, the shapes of what goes in and comes out, and the function."""

    name: str
    title: str
    description: str
    takes: type[Arguments]
    gives: type
    call: Callable[[Services, Principal, Any, str], Awaitable[Result]]

    def described(self) -> Tool:
        """Return what a client learns about the tool."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.takes.model_json_schema(),
            output_schema=TypeAdapter(self.gives).json_schema(mode="serialization"),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )


async def search_code(services: Services, principal: Principal, wanted: SearchArguments, _: str) -> Result:
    """Return the places that fit best, best first, with their code."""

    def search() -> SearchResponse:
        return services.search(principal, wanted.query, wanted.repos, wanted.limit, wanted.languages, wanted.path)

    found = await run_sync(search)
    shown = [
        f"[{one.repo}/{one.file_path}:{one.line_start}-{one.line_end}] {one.kind} {one.symbol}\n{fenced(one.text, one.language)}"
        for one in found.results
    ]
    document: dict[str, Any] = {"notices": [], **found.as_json()}
    return document, "\n\n".join([*shown, *found.notices]) or "Nothing in the indexed code fits."


async def ask_codebase(services: Services, principal: Principal, wanted: AskArguments, request_id: str) -> Result:
    """Return the answer. A caller that goes away stops the model."""
    events: ThreadedStream[Event] = ThreadedStream(services.answer(principal, Asked(wanted.question, wanted.repos), request_id))
    answer: Answer | None = None
    try:
        while (event := await events.next()) is not None:
            answer = event if isinstance(event, Answer) else None
    finally:
        events.close()
    assert answer is not None, "the last event is the answer"
    return answer.as_json(), "\n\n".join([answer.answer, *answer.notices])


async def read_source(services: Services, principal: Principal, wanted: ReadArguments, _: str) -> Result:
    """Return lines of a file, numbered in the text."""
    end = wanted.end or wanted.start + LINES_AT_ONCE - 1

    def read() -> SourceLines:
        return services.source(principal, wanted.repo, wanted.path, wanted.start, end, wanted.commit)

    source = await run_sync(read)
    numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(source.lines, source.line_start))
    place = f"[{source.repo}/{source.file_path}:{source.line_start}-{source.line_end}]"
    return source.model_dump(), f"{place} of {source.line_count} lines, at commit {source.commit}\n{fenced(numbered)}"


async def list_repositories(services: Services, principal: Principal, _: NoArguments, __: str) -> Result:
    """Return what may be searched."""
    indexed = await run_sync(services.repositories, principal)
    found = [Repository(name=one.name, commit=one.commit, files=one.files, chunks=one.chunks) for one in indexed]
    shown = [f"{one.name} at {one.commit[:12]}: {one.files} files" for one in found]
    return Repositories(repositories=found).model_dump(), "\n".join(shown) or "No repository is indexed for you."


TOOLS = (
    CodeTool(
        "search_code",
        "Search code",
        "Find code in the organisation's private repositories: the functions, classes and documents that fit a query best.",
        SearchArguments,
        SearchResponse,
        search_code,
    ),
    CodeTool(
        "ask_codebase",
        "Ask the codebase",
        "Answer a question about the organisation's private code, with citations that are checked; says so when the code does "
        "not answer it.",
        AskArguments,
        Answer,
        ask_codebase,
    ),
    CodeTool(
        "read_source",
        "Read source",
        "Read lines of a file of an indexed repository, for example around a place that a search or a citation named.",
        ReadArguments,
        SourceLines,
        read_source,
    ),
    CodeTool(
        "list_repositories",
        "List repositories",
        "List the repositories that you may search and read.",
        NoArguments,
        Repositories,
        list_repositories,
    ),
)


def fenced(code: str, language: str = "") -> str:
    """Return ``code`` in a Markdown fence that nothing in it can close (CommonMark 0.31, section 4.5)."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
