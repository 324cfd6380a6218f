"""Questions and their answers, made from what the code itself says."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from cia.answering.docstring import first_sentence
from cia.answering.sentences import what_it_is
from cia.chunking import Chunk
from cia.code_facts.english import listed, takes_and_returns, third_person
from cia.dataset.draft import Draft
from cia.dataset.from_code.configuration import configuration
from cia.dataset.from_code.covering_tests import covering_tests
from cia.dataset.from_code.definitions import CodeBase, name_of
from cia.dataset.from_code.raised_errors import raised_errors
from cia.dataset.pair import QuestionKind

MOST_CALLERS = 3
"""Nobody is asked who calls a name with more callers: the answer would be a list, not a sentence."""

_PROPERTY = re.compile(r"^\s*@(?:\w+\.)*(?:\w*property|setter|getter|deleter|overload)\b", re.MULTILINE)

WHERE_BY_NAME = (
    "Where is `{symbol}` defined?",
    "Which file defines `{symbol}`?",
    "In which file can I find `{symbol}`?",
    "Where can I find the definition of `{symbol}`?",
    "Where in the code is the {noun} `{symbol}`?",
    "Show me where `{symbol}` lives.",
)
WHERE_BY_PURPOSE = (
    "Where is the {noun} that {does}?",
    "Which {noun} {does}?",
    "What is the name of the {noun} that {does}?",
    "I am looking for the {noun} that {does}. Where is it?",
)
WHAT = (
    "What does `{symbol}` do?",
    "What is `{symbol}` for?",
    "What is the purpose of `{symbol}`?",
    "Explain what the {noun} `{symbol}` does.",
    "Can you tell me what `{symbol}` is used for?",
    "What is the {noun} `{symbol}` meant to do?",
)
SIGNATURE = (
    "What does `{symbol}` take and return?",
    "Which arguments does `{symbol}` take?",
    "What are the parameters of `{symbol}`, and what does it return?",
    "How do I call `{symbol}`?",
    "What is the signature of `{symbol}`?",
    "What do I pass to `{symbol}`, and what comes back?",
)
CALLERS = (
    "Who calls `{symbol}`?",
    "Where is `{symbol}` called?",
    "Which code calls `{symbol}`?",
    "What uses the {noun} `{symbol}`?",
    "From where is `{symbol}` called?",
)
CREATORS = (
    "Who creates a `{symbol}`?",
    "Where is `{symbol}` instantiated?",
    "Which code creates instances of `{symbol}`?",
    "What uses the class `{symbol}`?",
)


def drafts(code: CodeBase, random_: random.Random) -> dict[QuestionKind, list[Draft]]:
    """Return every question of each answerable kind that ``code`` supports, in a random order."""
    of_definitions: dict[QuestionKind, Callable[[CodeBase, Chunk, random.Random], Draft | None]] = {
        "where": _where,
        "what": _what,
        "signature": _signature,
        "raises": raised_errors,
        "callers": _callers,
    }
    made: dict[QuestionKind, list[Draft]] = {}
    for kind, maker in of_definitions.items():
        chunks = [chunk for _, chunk in sorted(code.definitions.items()) if _worth_asking(chunk)]
        random_.shuffle(chunks)
        made[kind] = [draft for chunk in chunks if (draft := maker(code, chunk, random_))]
    made["configuration"] = configuration(code, random_)
    made["tests"] = covering_tests(code, random_)
    return made


def _where(code: CodeBase, chunk: Chunk, random_: random.Random) -> Draft:
    purpose = _does(chunk)
    by_purpose = bool(purpose) and random_.random() < 0.5
    templates = WHERE_BY_PURPOSE if by_purpose else WHERE_BY_NAME
    question = random_.choice(templates).format(symbol=chunk.symbol, noun=_noun(chunk), does=purpose)
    place = f"in `{chunk.file_path}`"
    answer = random_.choice(
        (
            f"`{chunk.symbol}` is {what_it_is(chunk.kind, chunk.symbol)} defined {place}.",
            f"The {_noun(chunk)} `{chunk.symbol}` is {place}.",
            f"`{chunk.symbol}` is defined {place}.",
        )
    )
    if by_purpose:
        answer = f"`{chunk.symbol}` {purpose}. It is {what_it_is(chunk.kind, chunk.symbol)} {place}."
    return Draft(
        "where",
        question,
        f"{answer} {code.place(chunk)}",
        chunk.symbol,
        (chunk,),
        f"{name_of(chunk.symbol)} {purpose if by_purpose else ''}",
    )


def _what(code: CodeBase, chunk: Chunk, random_: random.Random) -> Draft | None:
    sentence = first_sentence(chunk.docstring)
    if not sentence or "[" in sentence:
        return None
    said = third_person(sentence)
    question = random_.choice(WHAT).format(symbol=chunk.symbol, noun=_noun(chunk))
    answer = f"`{chunk.symbol}` {said}" if said else f"The documentation of `{chunk.symbol}` says: {sentence}"
    return Draft("what", question, f"{answer} {code.place(chunk)}", chunk.symbol, (chunk,), sentence)


def _signature(code: CodeBase, chunk: Chunk, random_: random.Random) -> Draft | None:
    if chunk.kind != "function" or _PROPERTY.search(chunk.text):
        return None
    said = takes_and_returns(chunk)
    if not said:
        if chunk.language == "python" or "(" not in chunk.signature:
            return None
        answer, content = f"The signature of `{chunk.symbol}` is `{' '.join(chunk.signature.split())}`.", chunk.signature
    else:
        answer, content = f"`{chunk.symbol}` {said}.", said
    question = random_.choice(SIGNATURE).format(symbol=chunk.symbol)
    return Draft(
        "signature", question, f"{answer} {code.place(chunk)}", chunk.symbol, (chunk,), f"{name_of(chunk.symbol)} {content}"
    )


def _callers(code: CodeBase, chunk: Chunk, random_: random.Random) -> Draft | None:
    callers = code.callers.get(chunk.symbol, ())
    if not 1 <= len(callers) <= MOST_CALLERS:
        return None
    templates, verb = (CREATORS, "create") if chunk.kind == "class" else (CALLERS, "call")
    question = random_.choice(templates).format(symbol=chunk.symbol, noun=_noun(chunk))
    named = listed([f"`{caller.symbol}` {code.place(caller)}" for caller in callers])
    answer = f"{named} {verb}{'s' if len(callers) == 1 else ''} `{chunk.symbol}`."
    content = f"{name_of(chunk.symbol)} {' '.join(name_of(caller.symbol) for caller in callers)}"
    return Draft("callers", question, answer, chunk.symbol, callers, content)


def _worth_asking(chunk: Chunk) -> bool:
    name = name_of(chunk.symbol)
    return not (name.startswith("__") and name.endswith("__")) and len(name) > 2


def _noun(chunk: Chunk) -> str:
    return what_it_is(chunk.kind, chunk.symbol).partition(" ")[2]


def _does(chunk: Chunk) -> str:
    """What a chunk does, as the end of "the function that ..."; "" when its docstring says what it is, or its name."""
    said = third_person(first_sentence(chunk.docstring)).rstrip(".!?")
    names = name_of(chunk.symbol).lower()
    return "" if not said or said.startswith("is ") or "[" in said or names in said.lower() or len(said.split()) < 4 else said


def kinds_in_turn(made: dict[QuestionKind, list[Draft]]) -> Iterator[Draft]:
    """Yield drafts of each kind by turns, so that a cut anywhere leaves the kinds balanced."""
    waiting = {kind: iter(found) for kind, found in made.items()}
    while waiting:
        for kind in list(waiting):
            draft = next(waiting[kind], None)
            if draft is None:
                del waiting[kind]
            else:
                yield draft
