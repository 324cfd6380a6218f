"""Whatever the model's server does, each question is answered within its time, and the answer says what was wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from cia.settings import Settings
from tests.rag_server.application import running_application
from tests.rag_server.faults.model_faults import FAULTS, SENTENCE, TIME_LIMIT, never_ends, says_nothing
from tests.rag_server.running_server import Server, with_model
from tests.rag_server.scripted_model import ScriptedModel, running_script

QUESTION = "How is a wick trimmed?"
LONGEST = 2 * TIME_LIMIT + 4.0
"""The time limit, one retry, and what a busy machine takes besides."""


@dataclass(frozen=True)
class House:
    server: Server
    model: ScriptedModel


@pytest.fixture(scope="module")
def house(indexed: Settings) -> Iterator[House]:
    with running_script(says_nothing) as model:
        settings = with_model(indexed, model.base_url, timeout_seconds=TIME_LIMIT)
        with running_application(settings) as server:
            server.ask("What does Wick.brightness return?")  # loads what the first question waits for
            yield House(server, model)


def asked(server: Server) -> dict[str, object]:
    return dict(server.ask(QUESTION).json())


def streamed(server: Server) -> dict[str, object]:
    name, answer = server.events(QUESTION)[-1]
    assert name == "answer"
    return answer


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", [asked, streamed])
def test_a_question_is_answered_in_time_all_the_same(
    house: House, fault: str, way: Callable[[Server], dict[str, object]]
) -> None:
    house.model.script = FAULTS[fault]
    begun = time.monotonic()
    answer = way(house.server)
    assert time.monotonic() - begun < LONGEST
    assert answer["citations"]
    if answer["mode"] == "extractive":
        assert answer["fallback_reason"]
    else:  # what can be read of a damaged answer may stand, if its citations do
        assert "Wick.trim [lantern/src/wick.py:" in str(answer["answer"])


def test_a_model_that_comes_back_is_asked_again_at_once(house: House) -> None:
    house.model.script = FAULTS["500"]
    assert asked(house.server)["mode"] == "extractive"
    house.model.script = lambda wire: wire.say(SENTENCE)
    assert asked(house.server)["mode"] == "llm"


def test_a_model_that_fails_once_is_asked_a_second_time(house: House) -> None:
    scripts = iter([FAULTS["500"], lambda wire: wire.say(SENTENCE)])
    house.model.script = lambda wire: next(scripts)(wire)
    answer = asked(house.server)
    assert (answer["mode"], answer["fallback_reason"]) == ("llm", "")


def test_a_model_whose_time_is_up_is_hung_up_on(house: House) -> None:
    house.model.script = never_ends
    house.model.hung_up.clear()
    asked(house.server)
    assert house.model.hung_up.wait(5), "the model still writes after its time is up"
