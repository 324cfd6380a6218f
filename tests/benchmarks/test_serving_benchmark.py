"""What the figures make of replies around a promotion and a death, and what the prompts of the speculation hold."""

from __future__ import annotations

import pytest

from benchmarks.server.load import Reply
from benchmarks.serving.death import Death
from benchmarks.serving.hand_over import HandOver
from benchmarks.serving.speculation import QUOTED, SEGMENT, _misleading, _prompt
from cia.settings import Settings

OLD, NEW = "code-assistant:1", "code-assistant:2"
MOVED = 100.0
RECITAL = [2, *range(1000, 1064)]


def reply(model: str, begun: float, first_text: float, ended: float, error: str = "") -> Reply:
    return Reply("", begun, begun, ended, first_text, model=model, error=error)


def hand_over(*replies: Reply) -> HandOver:
    return HandOver("promotion", OLD, NEW, MOVED - 1, MOVED, replies)


def test_the_new_version_is_timed_from_the_move_to_its_first_token() -> None:
    measured = hand_over(reply(OLD, 90, 91, 95), reply(OLD, 101, 102, 103), reply(NEW, 101.5, 102.5, 104))
    assert measured.first_by_new == pytest.approx(2.5)
    assert measured.last_by_old == pytest.approx(1.0)


def test_a_version_that_never_answers_is_never_first() -> None:
    assert hand_over(reply(OLD, 90, 91, 95)).first_by_new == float("inf")


def test_what_ran_at_the_move_and_what_failed_is_counted() -> None:
    quoted = reply("none", 98, 98.1, 101)
    cut = reply(OLD, 99, 99.5, 101, error="no end")
    row = hand_over(reply(OLD, 95, 96, 105), quoted, cut, reply(NEW, 102, 103, 104)).row()
    assert row[1:4] == (4, 2, "1 of 3")


def test_after_a_death_a_quotation_is_an_answer_and_an_error_is_none() -> None:
    before = reply(OLD, 99, 99.2, 101)
    quoted, failed = reply("none", 101, 101.1, 101.2), reply("", 102, 102, 103, error="500")
    back = reply(OLD, 140, 141.5, 144)
    assert Death(MOVED, [before, quoted, failed, back]).row() == (4, 1, "1 of 1", 1, 1, "41.5")


@pytest.mark.parametrize("share", QUOTED.values())
def test_as_much_of_the_recital_stands_in_the_prompt_as_is_said(settings: Settings, share: float) -> None:
    prompt = _prompt(RECITAL, share, settings)
    runs = [RECITAL[start : start + SEGMENT] for start in range(1, len(RECITAL), SEGMENT)]
    quoted = sum(run == prompt[at : at + SEGMENT] for run in runs for at in range(len(prompt)))
    assert quoted == share * len(runs)
    assert prompt[-1] == RECITAL[0]
    assert len(prompt) + len(RECITAL) - 1 == settings.model.context_tokens - 1


def test_a_misleading_prompt_goes_on_otherwise_after_every_pair(settings: Settings) -> None:
    prompt = _misleading(RECITAL, settings)
    following = {(first, second): third for first, second, third in zip(prompt, prompt[1:], prompt[2:], strict=False)}
    said = list(zip(RECITAL[1:], RECITAL[2:], RECITAL[3:], strict=False))
    tempted = [(pair, right) for *pair, right in said if tuple(pair) in following]
    assert len(tempted) >= len(said) // 4
    assert all(following[tuple(pair)] != right for pair, right in tempted)
