"""An answer arrives as it is written, and stops being written when nobody listens."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from cia.settings import Settings
from tests.rag_server.running_server import AS_ADMIN, Server, parse_events, served, with_model
from tests.rag_server.stand_in_model import StandInModel

QUESTION = "How is a wick trimmed?"


def test_an_extractive_stream_is_sources_then_the_answer(server: Server) -> None:
    events = server.events(QUESTION)
    assert events[0][0] == "sources"
    assert events[-1][0] == "answer"
    assert events[0][1]["sources"][0]["file_path"]
    assert events[-1][1]["citations"]


def test_tokens_come_between_and_their_citations_are_checked(
    start: Callable[..., Server], indexed: Settings, stand_in_model: StandInModel
) -> None:
    stand_in_model.says = "A wick is trimmed by Wick.trim [1]. It returns what is left of the wick [99]."
    events = start(with_model(indexed, stand_in_model.base_url)).events(QUESTION)
    text = "".join(data["text"] for name, data in events if name == "token")
    assert "A wick is trimmed by Wick.trim [lantern/src/wick.py:" in text
    assert "[99]" not in text
    answer = events[-1][1]
    assert answer["mode"] == "llm"
    assert answer["dropped_citations"] == 1


def test_a_model_that_breaks_off_leaves_an_extractive_answer(
    start: Callable[..., Server], indexed: Settings, stand_in_model: StandInModel
) -> None:
    stand_in_model.pause_seconds = 3.0
    settings = with_model(indexed, stand_in_model.base_url, timeout_seconds=1.0)
    name, answer = start(settings).events(QUESTION)[-1]
    assert name == "answer"
    assert answer["mode"] == "extractive"
    assert answer["fallback_reason"]


def test_a_client_that_leaves_stops_the_model(indexed: Settings, stand_in_model: StandInModel) -> None:
    stand_in_model.says = "A wick is trimmed by Wick.trim [1]. " * 200
    stand_in_model.pause_seconds = 0.05
    environment = {
        "CIA_MODEL__BASE_URL": stand_in_model.base_url,
        "CIA_MODEL__FORM": "prose",
        "CIA_ANSWERING__USE_BASE_MODEL": "true",
    }
    with served(indexed, **environment) as address:
        body = {"question": QUESTION, "stream": True}
        with httpx.stream("POST", f"{address}/v1/ask", json=body, headers=AS_ADMIN, timeout=30.0) as reply:
            lines = reply.iter_lines()
            assert next(line for line in lines if line == "event: token")
        assert stand_in_model.hung_up.wait(10.0), "the model still writes for a client that is gone"
        stand_in_model.hung_up.clear()
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/v1/ask", json={"question": QUESTION}, headers=AS_ADMIN, timeout=1.0)
        assert stand_in_model.hung_up.wait(10.0), "the model still writes for a client that did not stream and is gone"


@pytest.mark.parametrize("text", ['event: answer\ndata: {"a": "line\\nfeed"}\n\n'])
def test_a_line_feed_in_an_answer_stays_within_its_event(text: str) -> None:
    assert parse_events(text) == [("answer", {"a": "line\nfeed"})]
