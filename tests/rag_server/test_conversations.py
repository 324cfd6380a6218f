"""A conversation is kept for its user alone, read for follow-ups, and forgotten on request."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from cia.answering import Answer, Citation
from cia.errors import NotIndexedError
from cia.settings import Settings
from rag_server.access import Principal
from rag_server.conversations import Conversations, new_id
from rag_server.database import Database
from tests.rag_server.running_server import Server

QUESTION = "How is a wick trimmed?"
ALICE = Principal("alice", frozenset({"lamp", "wick"}))
BOB = Principal("bob", None)


def answer(repo: str = "lamp", text: str = "By `Wick.trim`.", resolved: str = "") -> Answer:
    cited = Citation(repo, "c" * 40, "a.py", 1, 2, "Wick.trim")
    return Answer(
        text, False, "extractive", "none", (cited,), {"repo": repo, "commit": "c" * 40}, "0" * 32, resolved_question=resolved
    )


@pytest.fixture
def kept(indexed: Settings, tmp_path) -> Iterator[Conversations]:
    database = Database(indexed.model_copy(update={"home": tmp_path}))
    yield Conversations(database)
    database.close()


def begun(kept: Conversations, question: str, told: Answer) -> str:
    identifier = new_id()
    kept.keep(ALICE, identifier, question, told, ["lamp"], begin=True)
    return identifier


def test_a_follow_up_is_read_with_the_conversation(server: Server) -> None:
    first = server.ask(QUESTION, conversation="new").json()
    second = server.ask("and which file is it in?", conversation=first["conversation"]).json()
    assert first["resolved_question"] == ""
    assert second["resolved_question"] == "which file is Wick.trim in?"
    assert second["conversation"] == first["conversation"]
    assert second["citations"][0]["symbol"] == "Wick.trim"


def test_without_a_conversation_nothing_is_kept(server: Server) -> None:
    before = server.client.get("/v1/conversations").json()["conversations"]
    assert server.ask(QUESTION).json()["conversation"] == ""
    assert server.client.get("/v1/conversations").json()["conversations"] == before


def test_a_conversation_is_listed_read_and_forgotten(server: Server) -> None:
    told = server.ask(QUESTION, conversation="new").json()
    path = f"/v1/conversations/{told['conversation']}"
    assert server.client.get("/v1/conversations").json()["conversations"][0]["title"] == QUESTION
    whole = server.client.get(path).json()
    assert [turn["question"] for turn in whole["turns"]] == [QUESTION]
    assert whole["turns"][0]["answer"] == told
    assert server.client.delete(path).status_code == 204
    assert server.client.get(path).status_code == 404
    assert server.ask("and now?", conversation=told["conversation"]).status_code == 404


def test_all_conversations_are_forgotten_at_once(server: Server) -> None:
    for _ in range(2):
        server.ask(QUESTION, conversation="new")
    assert server.client.delete("/v1/conversations").status_code == 204
    assert server.client.get("/v1/conversations").json() == {"conversations": []}


def test_a_stream_is_kept_too(server: Server) -> None:
    name, told = server.events(QUESTION, conversation="new")[-1]
    assert name == "answer"
    assert server.client.get(f"/v1/conversations/{told['conversation']}").json()["turns"][0]["question"] == QUESTION


def test_a_question_that_is_refused_begins_no_conversation(server: Server) -> None:
    server.client.delete("/v1/conversations")
    assert server.ask("", conversation="new").status_code == 422
    assert server.client.get("/v1/conversations").json() == {"conversations": []}


def test_feedback_stands_beside_the_answer_and_can_be_changed(server: Server) -> None:
    told = server.ask(QUESTION, conversation="new").json()
    for rating, comment in (("down", "no"), ("up", "yes after all")):
        given = {"trace_id": told["trace_id"], "rating": rating, "comment": comment}
        assert server.client.post("/v1/feedback", json=given).status_code == 204
    turn = server.client.get(f"/v1/conversations/{told['conversation']}").json()["turns"][0]
    assert turn["feedback"] == {"rating": "up", "comment": "yes after all"}


@pytest.mark.parametrize("wrong", [{"trace_id": "../1"}, {"rating": "sideways"}, {"comment": "x" * 2001}, {"stars": 5}])
def test_feedback_that_makes_no_sense_is_refused(server: Server, wrong: dict[str, object]) -> None:
    assert server.client.post("/v1/feedback", json={"trace_id": "0" * 32, "rating": "up", **wrong}).status_code == 422


def test_nobody_reads_continues_or_deletes_anothers(kept: Conversations) -> None:
    mine = begun(kept, QUESTION, answer())
    assert kept.newest(BOB) == []
    for intrude in (
        lambda: kept.read(BOB, mine),
        lambda: kept.history(BOB, mine, 1000),
        lambda: kept.keep(BOB, mine, "mine now", answer(), ["lamp"]),
        lambda: kept.delete(BOB, mine),
    ):
        with pytest.raises(NotIndexedError, match="no such conversation"):
            intrude()
    kept.delete_all(BOB)
    assert len(kept.read(ALICE, mine)[1]) == 1


def test_a_grant_that_is_taken_away_takes_its_answers_along(kept: Conversations) -> None:
    mine = begun(kept, QUESTION, answer())
    kept.keep(ALICE, mine, "and who?", answer("wick", resolved="who Wick.trim"), ["wick"])
    kept.keep(ALICE, mine, "Something else?", answer("wick"), ["wick"])
    narrowed = dataclasses.replace(ALICE, grants=frozenset({"wick"}))
    assert [turn.question for turn in kept.read(narrowed, mine)[1]] == ["Something else?"]
    assert [exchange.question for exchange in kept.history(narrowed, mine, 1000)] == ["Something else?"]
    assert len(kept.read(ALICE, mine)[1]) == 3


def test_of_a_long_conversation_the_newest_is_read(kept: Conversations) -> None:
    mine = begun(kept, "first", answer(text="x" * 500))
    kept.keep(ALICE, mine, "second", answer(text="y" * 500), ["lamp"])
    assert [exchange.question for exchange in kept.history(ALICE, mine, 600)] == ["second"]
