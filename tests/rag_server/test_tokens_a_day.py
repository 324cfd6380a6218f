"""What a user's model may read and write in a day is counted, and then refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cia.errors import LimitError
from cia.settings import Settings
from rag_server.access import Principal
from rag_server.services import Asked
from tests.rag_server.running_server import Server, with_model
from tests.rag_server.stand_in_model import StandInModel

QUESTION = "How is a wick trimmed?"


@pytest.fixture
def frugal(start: Callable[..., Server], indexed: Settings, stand_in_model: StandInModel) -> Callable[[int], Server]:
    """Start a server whose users have so many tokens a day, and a model that counts 600 an answer."""
    stand_in_model.usage = {"prompt_tokens": 590, "completion_tokens": 10, "total_tokens": 600}
    settings = with_model(indexed, stand_in_model.base_url)

    def begin(daily_tokens: int) -> Server:
        return start(settings.model_copy(update={"rag": settings.rag.model_copy(update={"daily_tokens": daily_tokens})}))

    return begin


@pytest.mark.parametrize("stream", [False, True])
def test_who_has_spent_a_days_tokens_is_told_when_to_come_back(frugal: Callable[[int], Server], stream: bool) -> None:
    server = frugal(1000)
    assert [server.ask(QUESTION, stream=stream).status_code for _ in range(3)] == [200, 200, 429]
    refused = server.ask(QUESTION)
    assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600
    assert "midnight" in refused.json()["error"]["message"]


def test_searching_costs_no_tokens(frugal: Callable[[int], Server]) -> None:
    server = frugal(1)
    assert [server.ask(QUESTION).status_code for _ in range(2)] == [200, 429]
    assert server.client.post("/v1/search", json={"query": "wick"}).status_code == 200


def test_who_hangs_up_early_has_spent_what_was_told(frugal: Callable[[int], Server], stand_in_model: StandInModel) -> None:
    services = frugal(10).client.app.state.services  # type: ignore[attr-defined]
    hasty = Principal("hasty", None)
    events = services.answer(hasty, Asked(QUESTION), "r1")
    assert next(events).results
    events.close()
    with pytest.raises(LimitError):
        next(services.answer(hasty, Asked(QUESTION), "r2"))
