"""Questions by purpose, in other words than the name: what people ask who do not know the code yet."""

from __future__ import annotations

import random

from cia.answering.docstring import first_sentence
from cia.chunking import Chunk
from cia.code_facts.english import third_person
from cia.dataset.draft import Draft
from cia.retrieval.tokens import STOP_WORDS

TEMPLATES = (
    "Where is the code that {does}?",
    "Which code {does}?",
    "What {does}?",
    "Find what {does}.",
    "Is there anything that {does}?",
    "Which part {does}?",
    "Where does the code {verb}?",
    "How does it {verb}?",
    "How does the code {verb}?",
    "I want to {verb}. What do I use?",
    "How can I {verb}?",
    "What do I call to {verb}?",
    "Where is the place to {verb}?",
)
SHORTENED = 0.6
"""Chance that only the first words of a longer purpose are asked for."""
FEWEST_WORDS, MOST_WORDS = 3, 9


def asked_by_purpose(chunk: Chunk, random_: random.Random) -> Draft | None:
    """Return a question made from the first sentence of the documentation, None where that does not say what the code does."""
    sentence = first_sentence(chunk.docstring)
    said = third_person(sentence).rstrip(".!?")
    if not said or said.startswith("is ") or "[" in said or len(said.split()) <= FEWEST_WORDS or "__" in chunk.symbol:
        return None
    does, *words = said.split()
    if len(words) > FEWEST_WORDS + 2 and random_.random() < SHORTENED:
        words = words[: random_.randint(FEWEST_WORDS, min(MOST_WORDS, len(words)))]
        while words and words[-1].lower().strip(",;:") in STOP_WORDS:
            words.pop()
    rest = " ".join(words).rstrip(",;:")
    if len(rest.split()) < FEWEST_WORDS - 1:
        return None
    verb = sentence.split()[0].lower()
    template = TEMPLATES[0] if verb == does else random_.choice(TEMPLATES)
    question = template.format(does=f"{does} {rest}", verb=f"{verb} {rest}")
    return Draft("where", question, "", chunk.symbol, (chunk,), said)
