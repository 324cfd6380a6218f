"""Rewards that can be checked: what an answer earns, decided from the answer and its example alone, with no model asked.

GRPO (Shao et al. 2024, DeepSeekMath, arXiv:2402.03300) compares the answers to one question, so that only differences between
rewards count. All are from 0 to 1. To decline where the excerpts hold the answer earns nothing, and to cite more places than
needed earns less for each, so that neither "always decline" nor "cite everything" pays.

``check`` is the field of that name in an example: ``form`` (choice or prose), ``choices`` (all that may be said, by choice),
``places`` (what ``[1]``, ``[2]`` mean: repo, file_path, line_start, line_end, text) and ``gold`` (the lines that answer).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cia.answering.assistant import declines
from cia.evaluation.entailment import entails
from cia.evaluation.evidence import Evidence, read_evidence
from cia.evaluation.wording import CITATION, sentences

Check = Mapping[str, Any]
Reward = Callable[[str, Check], float]
Lines = set[tuple[str, str, int]]

MOST_SENTENCES = 3
"""An answer is one to three sentences; each further one costs a third of the form's reward."""

NUMBER = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def form(completion: str, check: Check) -> float:
    """1 for an answer in the form that is read: by choice, a choice and nothing else; in prose, one to three sentences.

    Half when it begins with a choice and goes on: what would be read is there.
    """
    said = completion.strip()
    if not said:
        return 0.0
    if check["form"] == "choice":
        return 1.0 if said in check["choices"] else 0.5 * any(said.startswith(choice) for choice in check["choices"])
    stated = len(sentences(said))
    return max(0.0, 1.0 - max(0, stated - MOST_SENTENCES) / 3) if stated else 0.0


def resolves(completion: str, check: Check) -> float:
    """The share of its citations that name a place it was shown; without one 0, unless it declines rightly."""
    if declines(completion):
        return abstains(completion, check)
    cited = _numbers(completion)
    return sum(1 <= number <= len(check["places"]) for number in cited) / len(cited) if cited else 0.0


def covers(completion: str, check: Check) -> float:
    """How well its citations meet the gold: F1 over the places that were shown; 1 when it declines rightly.

    Over places and not lines, or a long definition would be worth more than a short one.
    """
    if declines(completion):
        return abstains(completion, check)
    right, cited = _right_places(check), set(_numbers(completion))
    met = len(right & cited)
    needed = met if check["form"] == "choice" else len(right)  # a choice names one place; any right one will do
    return 2 * met / (len(cited) + needed) if met else 0.0


def supported(completion: str, check: Check) -> float:
    """The share of its sentences that the places it cites support (``cia.evaluation.entailment``); 1 when it declines rightly.

    By choice it states nothing itself, and a citation that resolves is all there is to support.
    """
    if declines(completion):
        return abstains(completion, check)
    if check["form"] == "choice":
        return float(resolves(completion, check) == 1.0)
    evidence = [_evidence(check["places"][n - 1]) for n in _numbers(completion) if 1 <= n <= len(check["places"])]
    stated = sentences(completion)
    if not evidence or not stated:
        return 0.0
    return sum(entails(evidence, CITATION.sub("", sentence)).verdict == "yes" for sentence in stated) / len(stated)


def abstains(completion: str, check: Check) -> float:
    """1 when it declines exactly where no place that it was shown holds the answer. Saying nothing is not declining."""
    if not completion.strip():
        return 0.0
    return float(declines(completion) == (not _right_places(check)))


REWARDS: dict[str, tuple[Reward, float]] = {
    "form": (form, 0.3),
    "resolves": (resolves, 0.2),
    "covers": (covers, 1.0),
    "supported": (supported, 0.3),
    "abstains": (abstains, 0.7),
}
"""Each reward and its weight. The right place weighs most; declining wrongly, and not declining, cost about as much."""

MOST = sum(weight for _, weight in REWARDS.values())


def total(completion: str, check: Check) -> float:
    """Return the weighted sum of all rewards, as a share of the most that can be earned: 0 to 1."""
    return sum(weight * reward(completion, check) for reward, weight in REWARDS.values()) / MOST


def _numbers(completion: str) -> list[int]:
    return [int(number) for group in NUMBER.findall(completion) for number in re.findall(r"\d+", group)]


def _right_places(check: Check) -> set[int]:
    gold = _lines(check["gold"])
    return {number for number, place in enumerate(check["places"], start=1) if _lines([place]) & gold}


def _lines(places: list[dict[str, Any]]) -> Lines:
    return {
        (place["repo"], place["file_path"], line)
        for place in places
        for line in range(place["line_start"], place["line_end"] + 1)
    }


def _evidence(place: Mapping[str, Any]) -> Evidence:
    where = f"{place['repo']}/{place['file_path']}:{place['line_start']}-{place['line_end']}"
    return read_evidence("\n".join([where, *(line for line in place["text"].split("\n") if line.strip())]))
