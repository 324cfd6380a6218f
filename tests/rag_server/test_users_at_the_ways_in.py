"""Two users at once, through OpenAI's client and MCP's: each gets what is theirs, and learns nothing of the other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from openai import OpenAI

from cia.retrieval import Indexer
from cia.settings import Settings, load_settings
from tests.rag_server.running_server import add_user, served

CODE = {
    "lantern": 'def trim(length: float) -> float:\n    """Trim the wick of the lantern."""\n    return length / 2\n',
    "harbour": 'def moor(berth: int) -> str:\n    """Moor a ship at a berth of the harbour."""\n    return f"berth {berth}"\n',
}
ASKS = {"lantern": "How is the wick of the lantern trimmed?", "harbour": "How is a ship moored at a berth of the harbour?"}
LISTING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@dataclass(frozen=True)
class House:
    """A server over two repositories. ``keys`` has one for each, and one for both of them."""

    settings: Settings
    address: str
    keys: dict[str, str]

    def openai(self, who: str) -> OpenAI:
        return OpenAI(base_url=f"{self.address}/v1", api_key=self.keys.get(who, who), max_retries=0)

    @asynccontextmanager
    async def mcp(self, who: str) -> AsyncIterator[Client]:
        http = create_mcp_http_client(headers={"Authorization": f"Bearer {self.keys.get(who, who)}"})
        async with http, Client(streamable_http_client(f"{self.address}/mcp", http_client=http)) as client:
            yield client


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    settings = load_settings(environment={"CIA_HOME": str(folder / "home")})
    for repo, code in CODE.items():
        (folder / repo).mkdir()
        (folder / repo / "main.py").write_text(code)
        Indexer(settings).index(str(folder / repo))
    keys = {"lantern": add_user(settings, "alice", "lantern"), "harbour": add_user(settings, "bob", "harbour")}
    keys["both"] = add_user(settings, "carol", "lantern", "harbour")
    with served(settings) as address:
        yield House(settings, address, keys)


def repos_in(client: OpenAI, question: str, model: str = "code-assistant", **beyond: Any) -> set[str]:
    """Ask, and return the repositories that the answer names anywhere."""
    asked = [{"role": "user", "content": question}]
    completion = client.chat.completions.create(model=model, messages=asked, extra_body=beyond)
    about = completion.code_intelligence
    return {one["repo"] for one in (*completion.choices[0].message.citations, *about["citations"], *about["sources"])}


@pytest.mark.parametrize("mine", ["lantern", "harbour"])
def test_the_models_are_those_that_a_user_may_read(house: House, mine: str) -> None:
    with house.openai(mine) as client:
        assert [model.id for model in client.models.list()] == ["code-assistant", f"code-assistant/{mine}"]
        assert repos_in(client, ASKS[mine]) == {mine}
        assert all(repos_in(client, question) <= {mine} for question in ASKS.values())


def test_the_fingerprint_is_that_of_what_was_read(house: House) -> None:
    prints = set()
    for who in house.keys:
        with house.openai(who) as client:
            asked = [{"role": "user", "content": ASKS["lantern"]}]
            prints.add(client.chat.completions.create(model="code-assistant", messages=asked).system_fingerprint)
    assert len(prints) == 3


def test_a_model_of_one_repository_reads_no_other(house: House) -> None:
    with house.openai("both") as client:
        for repo in CODE:
            assert repos_in(client, ASKS[repo], f"code-assistant/{repo}") == {repo}
            assert repos_in(client, ASKS[repo], repos=[repo]) == {repo}
        assert repos_in(client, ASKS["harbour"], "code-assistant/lantern") <= {"lantern"}
        assert repos_in(client, ASKS["harbour"], repos=["lantern"]) <= {"lantern"}


@pytest.mark.parametrize("stream", [False, True])
def test_anothers_repository_is_in_the_same_words_as_none(house: House, stream: bool) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": ASKS["harbour"]}], "stream": stream}

    def refused(client: OpenAI, repo: str) -> list[str]:
        attempts = (
            lambda: client.models.retrieve(f"code-assistant/{repo}"),
            lambda: client.chat.completions.create(model=f"code-assistant/{repo}", **asked),
            lambda: client.chat.completions.create(model="code-assistant", extra_body={"repos": [repo]}, **asked),
        )
        said = []
        for attempt in attempts:
            with pytest.raises(openai.NotFoundError) as caught:
                attempt()
            said.append(f"{caught.value.body}".replace(repo, "REPO"))
        return said

    with house.openai("lantern") as client:
        assert refused(client, "harbour") == refused(client, "nowhere")


async def test_over_mcp_too(house: House) -> None:
    async def refused(repo: str) -> list[str]:
        calls = [
            ("search_code", {"query": "berth", "repos": [repo]}),
            ("ask_codebase", {"question": ASKS["harbour"], "repos": [repo]}),
            ("read_source", {"repo": repo, "path": "main.py"}),
        ]
        results = [await client.call_tool(name, arguments) for name, arguments in calls]
        assert all(result.is_error for result in results)
        return [result.content[0].text.replace(repo, "REPO") for result in results]

    async with house.mcp("lantern") as client:
        assert await refused("harbour") == await refused("nowhere")


async def test_two_users_at_once_get_their_own(house: House) -> None:
    async def repos_seen(client: Client) -> set[str]:
        found = await client.call_tool("search_code", {"query": "wick berth harbour lantern"})
        listed = await client.call_tool("list_repositories", {})
        answer = await client.call_tool("ask_codebase", {"question": " ".join(ASKS.values())})
        return (
            {result["repo"] for result in found.structured_content["results"]}
            | {repository["name"] for repository in listed.structured_content["repositories"]}
            | {citation["repo"] for citation in answer.structured_content["citations"]}
        )

    async with house.mcp("lantern") as alice, house.mcp("harbour") as bob:
        seen = await asyncio.gather(*(repos_seen(client) for _ in range(6) for client in (alice, bob)))
    assert seen == [{"lantern"}, {"harbour"}] * 6


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer cia_wrong"}, {"Authorization": "Basic YTpi"}])
@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/v1/chat/completions"])
def test_nobody_gets_nothing(house: House, path: str, headers: dict[str, str]) -> None:
    reply = httpx.post(f"{house.address}{path}", json=LISTING, headers=headers)
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert "tools" not in reply.text


async def test_the_official_clients_say_that_a_key_is_wrong(house: House) -> None:
    with house.openai("cia_wrong") as client, pytest.raises(openai.AuthenticationError, match="API key"):
        client.models.list()
    with pytest.raises(ExceptionGroup) as caught:
        async with house.mcp("cia_wrong") as client:
            await client.list_tools()
    assert caught.value.subgroup(MCPError) is not None


def test_who_asks_too_often_is_told_when_to_come_back(house: House) -> None:
    with served(house.settings, CIA_RAG__RATE_LIMIT="2") as address:
        client = OpenAI(base_url=f"{address}/v1", api_key=house.keys["lantern"], max_retries=0)
        with client:
            client.models.list()
            client.models.list()
            with pytest.raises(openai.RateLimitError) as caught:
                client.models.list()
        headers = {"X-API-Key": house.keys["lantern"]}
        assert httpx.post(f"{address}/mcp", json=LISTING, headers=headers).status_code == 429
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 60
    assert caught.value.type == "rate_limited"
