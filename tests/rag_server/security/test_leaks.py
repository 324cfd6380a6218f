"""Two users over two repositories: to one, the other's repository is not there, in any reply to any request.

It is compared with a server on which the other repository never was: whatever is asked, both say the same. That holds for
what a reply contains, for what it leaves out, and for the words of its errors.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cia.retrieval import Indexer
from cia.settings import Settings, load_settings
from tests.rag_server.application import running_application
from tests.rag_server.running_server import UNHURRIED, Server, add_user, users_of, with_model
from tests.rag_server.scripted_model import running_script
from tests.rag_server.security.ways_in import ACCEPTS

MINE = {
    "lamp/wick.py": 'def trim_wick(length: float) -> float:\n    """Trim the wick of the lamp."""\n    return burn(length) / 2\n',
    "lamp/oil.py": 'def burn(litres: float) -> float:\n    """Burn the oil of the lamp."""\n    return litres - 1\n',
    "README.md": "# Lamp\n\nA lamp burns oil with a wick that is trimmed.\n",
}
THEIRS = {
    "zugzwang/harbour.py": 'def moor_quokka(berth: int) -> str:\n    """Moor a quokka at its lamp."""\n    return "xylem"\n',
    "lamp/wick.py": 'def trim_wick(length: float) -> float:\n    """Trim the wick with a xylem."""\n    return length / 7\n',
    "yttrium.go": 'package yttrium\n\n// Xylem burns the oil of the lamp.\nfunc Xylem() string { return "quokka" }\n',
    "README.md": "# Xylem\n\nThe yttrium of the quokka.\n",
}
THEIR_NAME = "skerryvore"
CANARIES = ("skerryvore", "zugzwang", "quokka", "xylem", "yttrium")

IDS = re.compile(
    r"""[0-9a-f]{32}|(?<=fingerprint":")[0-9a-f]{16}|(?<=fingerprint": ")[0-9a-f]{16}"""
    r"""|(?<="created": )\d+|(?<="created":)\d+|\d{4}-\d\d-\d\dT[\d:.]+Z?"""
)
"""What is never twice the same: ids, times, and the hash of what is read, which names the index and not only its code."""


@dataclass(repr=False)
class House:
    """A server, the key of a user who may read ``lamp``, and what its other user has there."""

    server: Server
    alice: Server
    their_conversation: str
    their_commit: str = ""
    begun: str = ""


@dataclass(frozen=True)
class Houses:
    both: House
    alone: House


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    folder = tmp_path_factory.mktemp("leaks")
    for name, files in (("lamp", MINE), (THEIR_NAME, THEIRS)):
        for path, text in files.items():
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_text(text)
    both, alone = (_indexed(folder, home, names) for home, names in (("both", ("lamp", THEIR_NAME)), ("alone", ("lamp",))))
    with running_application(both) as first, running_application(alone) as second:
        houses = Houses(_house(first, both, THEIR_NAME), _house(second, alone, "lamp"))
        indexed = houses.both.server.client.get("/v1/repositories").json()["repositories"]
        houses.both.their_commit = houses.alone.their_commit = next(one["commit"] for one in indexed if one["name"] == THEIR_NAME)
        yield houses


def _indexed(folder: Path, home: str, names: tuple[str, ...]) -> Settings:
    environment = {"CIA_HOME": str(folder / home), "CIA_RAG__CONCURRENT_PER_USER": "64", **UNHURRIED}
    settings = load_settings(environment=environment)
    for name in names:
        Indexer(settings).index(str(folder / name))
    return settings


def _house(server: Server, settings: Settings, theirs: str) -> House:
    bob = server.acting_as(add_user(settings, "bob", theirs))
    kept = bob.ask("How does moor_quokka moor, and who burns the oil of the lamp?", conversation="new").json()
    alice = server.acting_as(add_user(settings, "alice", "lamp"))
    return House(server, alice, kept["conversation"])


QUERIES = st.sampled_from([
    "trim the wick", "moor_quokka", "xylem", "who burns the oil of the lamp", "zugzwang/harbour.py", "yttrium.go:3", '"quokka"',
    "repo:skerryvore moor", "repo:lamp xylem", "lang:go burn", "path:zugzwang/** moor", "path:lamp wick", "README", "trim_wick",
    "what does xylem do in skerryvore", "and who calls it?", "user:bob", "Is there a quokka?", "how is a quokka moored?",
])  # fmt: skip
REPOS = st.sampled_from([None, [], ["lamp"], [THEIR_NAME], ["lamp", THEIR_NAME], ["nowhere"], ["Skerryvore"], ["lamp"] * 2, [""]])
NAMES = st.sampled_from(["lamp", THEIR_NAME, "nowhere", "lamp%2f..%2fskerryvore", "..", "%2e%2e", "skerryvore%00", "SKERRYVORE"])
PATHS = st.sampled_from([
    "lamp/wick.py", "zugzwang/harbour.py", "yttrium.go", "../skerryvore/yttrium.go", "..%2fskerryvore%2fyttrium.go", "%2e%2e/x",
    "README.md", "/etc/passwd", "lamp/../../skerryvore/README.md", "nowhere.py", "", "lamp%00",
])  # fmt: skip
MODELS = st.sampled_from(["code-assistant", "code-assistant/lamp", "code-assistant/skerryvore", "code-assistant/no", "gpt-4", ""])
LIMITS = st.sampled_from([None, 1, 3, 100])
LANGUAGES = st.sampled_from([[], ["go"], ["python"]])
FOLDERS = st.sampled_from([None, "lamp", "zugzwang"])
COMMITS = st.sampled_from([None, "theirs", "mine", "0" * 40, "HEAD"])
CONVERSATIONS = st.sampled_from([None, "new", "begun", "theirs"])
TOOLS = st.sampled_from(["search_code", "ask_codebase", "read_source", "list_repositories"])
PAGES = st.sampled_from(
    [
        "/v1/repositories",
        "/v1/models",
        "/v1/me",
        "/v1/conversations",
        "/model/info",
        "/nowhere/skerryvore",
        "/v1/sources/skerryvore",
    ]
)

STEPS = st.one_of(
    st.tuples(st.just("search"), QUERIES, REPOS, LIMITS, LANGUAGES, FOLDERS),
    st.tuples(st.just("ask"), QUERIES, REPOS, st.booleans(), CONVERSATIONS),
    st.tuples(st.just("chat"), QUERIES, REPOS, st.booleans(), MODELS),
    st.tuples(st.just("source"), NAMES, PATHS, COMMITS),
    st.tuples(st.just("tool"), TOOLS, QUERIES, REPOS, NAMES, PATHS),
    st.tuples(st.just("get"), PAGES),
    st.tuples(st.just("model"), MODELS),
    st.tuples(st.just("conversation"), st.sampled_from(["GET", "DELETE"]), st.sampled_from(["theirs", "begun"])),
    st.tuples(st.just("rate"), st.sampled_from(["up", "down"])),
)


def perform(house: House, step: tuple[Any, ...]) -> str:
    """Send the request of ``step`` as alice; return the reply without what is never twice the same."""
    kind, *how = step
    client = house.alice.client
    ids = {"theirs": house.their_conversation, "begun": house.begun or "0" * 32, "new": "new"}
    if kind == "search":
        query, repos, limit, languages, path = how
        body = {"query": query, "repos": repos, "limit": limit, "languages": languages, "path": path}
        reply = client.post("/v1/search", json=body)
    elif kind == "ask":
        query, repos, stream, conversation = how
        reply = client.post(
            "/v1/ask", json={"question": query, "repos": repos, "stream": stream, "conversation": ids.get(conversation)}
        )
        if found := re.search(r'"conversation": ?"([0-9a-f]{32})"', reply.text):
            house.begun = found[1]
    elif kind == "chat":
        query, repos, stream, model = how
        messages = [{"role": "user", "content": "What is `Xylem`?"}, {"role": "assistant", "content": "`Xylem` [1]"}]
        body = {"model": model, "stream": stream, "messages": [*messages, {"role": "user", "content": query}], "repos": repos}
        reply = client.post("/v1/chat/completions", json=body)
    elif kind == "source":
        name, path, commit = how
        mine = client.get("/v1/repositories").json()["repositories"][0]["commit"]
        commit = {"theirs": house.their_commit, "mine": mine}.get(commit, commit)
        reply = client.get(f"/v1/sources/{name}/{path}", params={} if commit is None else {"commit": commit})
    elif kind == "tool":
        tool, query, repos, name, path = how
        arguments = {
            "search_code": {"query": query, "repos": repos},
            "ask_codebase": {"question": query, "repos": repos},
            "read_source": {"repo": name, "path": path},
            "list_repositories": {},
        }[tool]
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        reply = client.post("/mcp", json=call, headers=ACCEPTS)
    elif kind == "conversation":
        reply = client.request(how[0], f"/v1/conversations/{ids[how[1]]}")
    elif kind == "rate":
        reply = client.post("/v1/feedback", json={"trace_id": house.their_conversation, "rating": how[0], "comment": "quokka"})
    else:
        reply = client.get(how[0] if kind == "get" else f"/v1/models/{how[0]}")
    return f"{reply.status_code} {_normal(reply.text)}"


def _normal(text: str) -> str:
    return IDS.sub("ID", text)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=8))
def test_no_reply_tells_whether_there_is_another_repository(houses: Houses, steps: list[tuple[Any, ...]]) -> None:
    for step in steps:
        there, not_there = perform(houses.both, step), perform(houses.alone, step)
        assert there == not_there, step
        asked = json.dumps(step).lower() + ("xylem" if step[0] == "chat" else "")
        assert {canary for canary in CANARIES if canary in there.lower() and canary not in asked} <= _in_the_conversation(step)


def _in_the_conversation(step: tuple[Any, ...]) -> set[str]:
    """A user's own earlier questions come back: in a list of conversations, and in what a follow-up was read as."""
    return set(CANARIES) if step[0] in ("get", "conversation") or (step[0] == "ask" and step[4] == "begun") else set()


def test_the_other_repository_is_there_for_its_own_user(houses: Houses) -> None:
    found = houses.both.server.client.post("/v1/search", json={"query": "moor_quokka"}).json()["results"]
    assert found[0]["repo"] == THEIR_NAME
    assert houses.both.alice.client.post("/v1/search", json={"query": "moor_quokka"}).json()["results"][0]["repo"] == "lamp"


def test_neither_the_metrics_nor_the_log_nor_a_probe_names_code_or_a_repository(houses: Houses) -> None:
    for query in ("moor_quokka", "xylem", "who burns the oil of the lamp?"):
        houses.both.server.ask(query)
        houses.both.server.client.get(f"/v1/sources/{THEIR_NAME}/yttrium.go")
        houses.both.server.client.get(f"/v1/models/code-assistant/{THEIR_NAME}")
    open_to_all = [
        houses.both.server.acting_as(None).client.get(path).text for path in ("/metrics", "/readyz", "/healthz", "/openapi.json")
    ]
    for text in (*open_to_all, str(houses.both.server.log)):
        assert not [canary for canary in CANARIES if canary in text.lower()]


def test_the_model_is_shown_nothing_of_another_repository(houses: Houses) -> None:
    with running_script(lambda wire: wire.say(f"It is so [1]. {wire.prompt}")) as model:
        settings = with_model(houses.both.server.client.app.state.services.settings, model.base_url, context_tokens=3000)
        with running_application(settings) as server:
            alice = server.acting_as(add_user(settings, "alice-too", "lamp"))
            for question in ("How is the wick of the lamp trimmed by trim_wick?", "Who burns the oil of the lamp?"):
                assert alice.ask(question).json()["mode"] == "llm"
        assert len(model.prompts) == 2
        assert not [canary for canary in CANARIES for prompt in model.prompts if canary in prompt.lower()]


def test_a_grant_that_is_taken_away_is_gone_from_every_way_in_within_two_seconds(houses: Houses) -> None:
    settings = houses.both.server.client.app.state.services.settings
    key = add_user(settings, "carol", "lamp", THEIR_NAME)
    token = houses.both.server.acting_as(key).client.post("/auth/token", json={"api_key": key}).json()["access_token"]
    carols = [houses.both.server.acting_as(key), houses.both.server.acting_as(token)]
    told = carols[0].ask("How does moor_quokka moor?", conversation="new").json()
    assert told["citations"][0]["repo"] == THEIR_NAME
    with users_of(settings) as users:
        users.ungrant("carol", [THEIR_NAME])
    time.sleep(1.1)
    for carol, stream in itertools.product(carols, (False, True)):
        client = carol.client
        conversation = client.get(f"/v1/conversations/{told['conversation']}")
        assert not [canary for canary in CANARIES if canary in str(conversation.json()["turns"]).lower()]
        replies = [
            client.post("/v1/search", json={"query": "moor", "limit": 100}),
            carol.ask("Who calls it?", conversation=told["conversation"], stream=stream),
            carol.ask("How is it moored?", stream=stream),
            client.get("/v1/models"),
            client.get("/v1/repositories"),
            client.get("/v1/me"),
        ]
        assert {reply.status_code for reply in replies} == {200}
        assert not [canary for canary in CANARIES for reply in replies if canary in reply.text.lower()]
        assert client.get(f"/v1/sources/{THEIR_NAME}/yttrium.go").status_code == 404
        assert carol.ask("How?", repos=[THEIR_NAME], stream=stream).status_code == 404
