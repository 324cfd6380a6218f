"""A question becomes an answer with citations, or one sentence that says why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from cia.errors import BusyError
from cia.settings import Settings
from tests.rag_server.running_server import Server, with_model
from tests.rag_server.stand_in_model import StandInModel

QUESTION = "How is a wick trimmed?"
NOBODY = "http://127.0.0.1:9/v1"


def test_an_answer_has_the_fixed_shape_and_cites_real_lines(server: Server) -> None:
    reply = server.ask(QUESTION)
    assert reply.status_code == 200
    answer = reply.json()
    assert {"answer", "abstained", "mode", "model", "citations", "index", "trace_id"} <= set(answer)
    assert (answer["mode"], answer["abstained"]) == ("extractive", False)
    first = answer["citations"][0]
    assert f"[lantern/{first['file_path']}:{first['line_start']}-{first['line_end']}]" in answer["answer"]
    place = {"start": first["line_start"], "end": first["line_end"], "commit": first["commit"]}
    source = server.client.get(f"/v1/sources/lantern/{first['file_path']}", params=place).json()
    assert any("def trim" in line for line in source["lines"])


def test_a_model_answers_in_the_words_it_chose(
    start: Callable[..., Server], indexed: Settings, stand_in_model: StandInModel
) -> None:
    answer = start(with_model(indexed, stand_in_model.base_url)).ask(QUESTION).json()
    assert (answer["mode"], answer["model"]) == ("llm", "code-assistant-base")
    assert "A wick is trimmed by Wick.trim" in answer["answer"]
    assert len(answer["citations"]) == 1


def test_without_the_model_the_answer_is_extractive_and_says_so(start: Callable[..., Server], indexed: Settings) -> None:
    server = start(with_model(indexed, NOBODY))
    answer = server.ask(QUESTION).json()
    assert answer["mode"] == "extractive"
    assert answer["citations"]
    assert NOBODY in answer["fallback_reason"]
    assert server.metric("cia_fallbacks_total") == 1


def test_with_nothing_indexed_one_sentence_says_what_to_do(start: Callable[..., Server], settings: Settings) -> None:
    server = start(settings)
    for path, body in (("/v1/ask", {"question": QUESTION}), ("/v1/search", {"query": QUESTION})):
        reply = server.client.post(path, json=body)
        assert reply.status_code == 404
        assert "cia index SOURCE" in reply.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"question": "x" * 8001}, 422, "8001 characters"),
        ({"question": "  "}, 422, "empty"),
        ({}, 422, "question"),
        ({"question": QUESTION, "temperature": 1}, 422, "unknown field 'temperature'"),
        ({"question": QUESTION, "repos": ["nowhere"]}, 404, "nowhere"),
        ({"question": 7}, 422, "question"),
    ],
)
def test_a_question_that_cannot_be_asked_gets_a_sentence(
    server: Server, fields: dict[str, Any], status: int, words: str, stream: bool
) -> None:
    reply = server.client.post("/v1/ask", json={**fields, "stream": stream})
    assert reply.status_code == status
    assert words in reply.json()["error"]["message"]


def test_a_body_that_is_no_json_gets_a_sentence(server: Server) -> None:
    reply = server.client.post("/v1/ask", content=b"{", headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["message"]) == (422, "the body is not valid JSON")


def test_a_body_that_is_too_large_is_refused_also_when_it_hides_its_length(server: Server, indexed: Settings) -> None:
    body = b"x" * (indexed.rag.max_body_bytes + 1)
    for content in (body, iter([body[:1000], body[1000:]])):
        reply = server.client.post("/v1/ask", content=content, headers={"Content-Type": "application/json"})
        assert reply.status_code == 413
        assert "max_body_bytes" in reply.json()["error"]["message"]


def test_no_repositories_finds_nothing(server: Server) -> None:
    answer = server.ask(QUESTION, repos=[]).json()
    assert (answer["abstained"], answer["citations"]) == (True, [])


def test_a_failure_shows_no_trace_but_leaves_one_in_the_log(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret /etc/path")

    monkeypatch.setattr(server.client.app.state.services.retriever, "search", fail)
    reply = server.ask(QUESTION)
    assert reply.status_code == 500
    assert "secret" not in reply.text
    (line,) = [line for line in server.log if line.get("status") == 500]
    assert line["request_id"] == reply.headers["x-request-id"]
    assert "secret /etc/path" in line["trace"]
    assert reply.headers["content-security-policy"]


def test_a_busy_index_says_when_to_come_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise BusyError("another process is indexing")

    monkeypatch.setattr(server.client.app.state.services.retriever, "search", busy)
    reply = server.ask(QUESTION)
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0


def test_the_log_holds_requests_and_never_a_question(server: Server) -> None:
    server.client.post("/v1/ask", json={"question": "How is the wick XYZZY trimmed?"}, headers={"X-Request-ID": "abc-1"})
    (line,) = [line for line in server.log if line.get("route") == "/v1/ask"]
    assert (line["request_id"], line["status"], line["method"]) == ("abc-1", 200, "POST")
    assert "XYZZY" not in str(server.log)


def test_a_request_id_that_could_forge_a_log_line_is_replaced(server: Server) -> None:
    reply = server.client.get("/healthz", headers={"X-Request-ID": 'x" , "status": 0'})
    assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["x-request-id"])


def test_a_search_returns_the_fixed_shape(server: Server) -> None:
    document = server.client.post("/v1/search", json={"query": "trim the wick", "limit": 1, "repos": ["lantern"]}).json()
    (result,) = document["results"]
    assert result["symbol"] in ("Wick", "Wick.trim")
    assert "def trim" in result["text"]
    assert result["file_path"] == "src/wick.py"
    assert server.client.post("/v1/search", json={"query": "wick", "limit": 0}).status_code == 422
