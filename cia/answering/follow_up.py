"""A follow-up, read with its conversation: "and who calls it?" becomes a question that can be looked up by itself.

Done by rule, so that it costs nothing, needs no model and cannot invent: a question that leans on what was said gets what it
leans on from the last exchange, nothing else. What "it" stands for is the name that the last question asked about, or the
first one that its answer cites; where neither has a name, the last question's words are looked for along with the new ones.
A question that stands by itself is left exactly as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cia.answering.abstention import ASKING_WORDS
from cia.answering.answer import Exchange
from cia.retrieval.question import looks_like_code, take_apart
from cia.retrieval.tokens import stem, terms

_OPENER = re.compile(
    r"^\W*(?:(?:and|but|also|so|then|ok|okay|or|now|thanks|thank you|great|hm+|well|please)\b[\s,!.]*)+", re.IGNORECASE
)
_THINGS = (
    r"functions?|methods?|class(?:es)?|files?|modules?|code|ones?|values?|settings?|options?|errors?|exceptions?|tests?|constants?"
    r"|types?|arguments?|parameters?"
)
_VERBS = (
    r"is|are|was|does|do|did|can|could|get|gets|happens?|used|works?|done|called|defined|raised|tested|handled|fails?|come|comes"
)
# "this project" and "that header" name something themselves; "this function" and "that is" do not.
_POINTER = re.compile(
    rf"\b(?:(?:this|that|these|those|the\s+same)\s+(?:{_THINGS})|its|it|they|them|their"
    rf"|(?:this|that|these|those)(?=\s*(?:[?.!,;]|$)|\s+(?:{_VERBS}|too|also|as well|then)\b))\b",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"(?:^|[,;:]|\b(?:does|do|did|is|was|can|when|if|why|how|where|after|before|and|because))\W*$", re.IGNORECASE
)
"""What stands before "that" where it points at something: "the type that is returned" has it of another kind."""
_AT_THE_END = re.compile(r"(?:\s*(?:too|also|as well|then))?\W*")
_OWNER = re.compile(r"its|their", re.IGNORECASE)
_CLAUSE_END = re.compile(
    r"[,;:]|\b(?:and|or|but|when|if|after|before|while|that|because|which|until|once|how|where|why|whether|so)\b", re.IGNORECASE
)
_INSTEAD = re.compile(r"^\W*(?:what|how)\s+about\s+(?P<what>.+?)\W*$", re.IGNORECASE)
_CITED_NAME = re.compile(r"`([A-Za-z_$][\w$.]*)`")
_BARE = re.compile(
    r"^\W*(?:(?:why|how|where|when|who|which|what|anything)(?:\s+(?:not|else|so|exactly))?|(?:in\s+)?(?:which|what)\s+(?:files?|lines?)"
    r"|more|go on|explain|tell me more|(?:(?:show|give)\s+me\s+)?(?:an?\s+|some\s+|more\s+|the\s+)?(?:examples?|code|details?)"
    r"|the\s+\w+\s+ones?)\W*$",
    re.IGNORECASE,
)

_FRAGMENT = re.compile(
    r"^\W*(?:for|in|inside|within|with|without|on|from|by|via|as|at|during|before|after|instead of)(?:\s+[^\s?]+){1,5}\W*$",
    re.IGNORECASE,
)

FEWEST_WORDS = 2
"""With fewer words of its own, what begins with "and" goes on with the last question: "And in the client?"."""


def resolve(question: str, history: Sequence[Exchange]) -> str:
    """Return ``question`` as it can be asked without ``history`` (oldest first); unchanged when it needs nothing of it."""
    resolved: list[Exchange] = []
    for exchange in history:
        resolved.append(Exchange(_resolve(exchange.question, resolved[-1:]), exchange.answer))
    return _resolve(question, resolved[-1:])


def _resolve(question: str, last: Sequence[Exchange]) -> str:
    if not last:
        return question
    former = last[0]
    opener = _OPENER.match(question)
    rest = question[opener.end() :] if opener else question
    if instead := _INSTEAD.match(rest):
        return _asked_of_another(instead["what"], former)
    pointer = _pointer(rest)
    if pointer and not _means_its_own(rest[: pointer.start()]):
        return _with_topic(rest, pointer, former)
    if _BARE.match(rest) or _FRAGMENT.match(rest) or (opener and len(_own_words(rest)) < FEWEST_WORDS and not _names(rest)):
        return _with_words_of(former, rest)
    return question


def _pointer(text: str) -> re.Match[str] | None:
    for found in _POINTER.finditer(text):
        relative = found.group().lower() == "that" and not _AT_THE_END.fullmatch(text, found.end())
        if not relative or _POINTING.search(text[: found.start()].rstrip()):
            return found
    return None


def _means_its_own(before: str) -> bool:
    """Whether a pronoun after ``before`` has something to stand for in it: "When a proxy fails, is it retried?"."""
    clauses = [end.start() for end in _CLAUSE_END.finditer(before)]
    return bool(clauses) and bool(_own_words(before[: clauses[-1]]))


def _with_topic(question: str, pointer: re.Match[str], former: Exchange) -> str:
    topic = _topic(former)
    if not topic:
        return _with_words_of(former, question)
    owner = "'s" if _OWNER.match(pointer.group()) else ""
    return f"{question[: pointer.start()]}{topic}{owner}{question[pointer.end() :]}"


def _topic(former: Exchange) -> str:
    """The name that the last exchange was about: of its question, else the first that its answer puts in backticks."""
    if names := _names(former.question):
        return names[-1]
    cited = _CITED_NAME.search(former.answer)
    return cited[1] if cited else ""


def _asked_of_another(what: str, former: Exchange) -> str:
    """The last question, asked of ``what``: in place of the name that it was asked of, if both are names."""
    new, before = _names(what), _names(former.question)
    if new:
        return former.question.replace(before[-1], new[0]) if before and before[-1] in former.question else what
    return _with_words_of(former, what)


def _names(text: str) -> list[str]:
    """The names of code in ``text``, each as long as it is written: ``QueryParams.add`` and not ``QueryParams``."""
    names = [name for name in take_apart(text).names if "." in name or looks_like_code(name) or f"`{name}`" in text]
    return [name for name in names if not any(name != other and name in other.split(".") for other in names)]


def _with_words_of(former: Exchange, question: str) -> str:
    words = [word for word in re.findall(r"[\w$][\w.$:/-]*", former.question.rstrip(" ?.!")) if terms(word)]
    missing = [word for word in words if word.lower() not in question.lower()]
    return f"{question.rstrip(' ?.!')} ({' '.join(missing)})" if missing else question


def _own_words(text: str) -> list[str]:
    return [term for term in terms(text) if stem(term) not in ASKING_WORDS]
