"""What kind of answer a question wants: one definition, the files of a change, or the place of a topic.

A sentence that describes something ("Return the merged parameters.") wants the one definition that it describes. A sentence
about work ("Fix the timeout of streamed uploads") wants files. A topic, a "how" or a bare name wants places, and the same
place twice is a place too few. A softmax over a few habits of language weighs the three; ranking blends its weights by them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.question import Question

_CHANGE = re.compile(
    r"^(?:\w+(?:\([^)]*\))?!?: |\[[^\]]*\] ?)"
    r"|^(?:fix|add|remove|drop|update|allow|support|improve|document|deprecate|refactor|rename|move|migrate|avoid|stop|don't"
    r"|do not|simplify|implement|introduce|clean|clarify|bump|ensure|prevent|disable|enable|make|use|only|switch|replace"
    r"|rewrite|expose|change|correct|handle|skip|restore|revert|optimi[sz]e|extend|tweak|better|no longer)(?:e?d|e?s|ing)?\b",
    re.IGNORECASE,
)
_DESCRIPTION = re.compile(
    r"^(?:an?|the|this|base|abstract|helper|decorator|raised|called|used|indicates|represents|whether|true if|given|context"
    r"|class|object|return|get|set|check|convert|create|parse|render|split|build|send|load|read|write|open|close|call|run"
    r"|generate|serialize|validate|compute|wrap|apply|find|register|construct|encode|decode|merge|yield|iterate|prepare"
    r"|format|print|test)(?:e?s)?\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"^(?:how|where|what|which|why|who|when|is|are|does|do|can)\b|\?\s*$", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(?:a|an|the|this|that|it|its|if|is|are)\b", re.IGNORECASE)


class Intent(NamedTuple):
    """Probabilities of the three kinds of answer; they add up to 1."""

    definition: float
    change: float
    place: float


WEIGHTS: NDArray[np.float64] = np.array(
    [
        # definition, change, place
        (-1.55, 0.03, 1.52),  # always
        (-0.50, 2.80, -2.30),  # starts as work does: "Fix", "Add", "feat(client):"
        (1.51, -0.03, -1.48),  # starts as a description does: "Return", "The", "Raised"
        (-1.06, -0.89, 1.95),  # asks: "how", "where", a question mark
        (1.13, -0.60, -0.53),  # ends with a full stop
        (0.11, 0.25, -0.36),  # starts with a capital
        (2.55, -0.77, -1.78),  # articles and the like: a sentence rather than a title
        (0.96, -0.26, -0.70),  # length
        (-0.61, -0.70, 1.31),  # one or two words, or nothing but a name
    ]
)
"""Fitted by logistic regression on questions of the tuning repositories (``benchmarks/retrieval``), with full stops and capitals
shuffled so that a sentence is known by more than its typography."""


def intent_of(question: Question) -> Intent:
    """Return how likely each kind of answer is the one wanted."""
    logits = np.array(intent_features(question)) @ WEIGHTS
    shares = np.exp(logits - logits.max())
    return Intent(*(shares / shares.sum()).tolist())


def intent_features(question: Question) -> list[float]:
    """Return what the intent is judged by: nine numbers, the first constant."""
    text = question.text.strip()
    count = len(text.split())
    return [
        1.0,
        float(_CHANGE.search(text) is not None),
        float(_DESCRIPTION.search(text) is not None),
        float(_QUESTION.search(text) is not None),
        float(text.endswith(".")),
        float(text[:1].isupper()),
        min(len(_ARTICLE.findall(text)), 3) / 3.0,
        min(count, 15) / 15.0,
        float(count <= 2 or question.bare),
    ]
