"""The facts that answers about code state most, each checked in the shape it has in code.

Shared words do not tell "`a` calls `b`" from "`b` calls `a`". A relation here finds such a fact in a sentence and looks for the
line that would make it true: the call, the ``return``, the ``raise``, the base class, the default value, the definition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cia.evaluation.evidence import Evidence
from cia.evaluation.wording import BACKTICKS, CITATION, FILE_PATH, NUMBER, USES, Wording, read_wording

Check = Callable[[str, str, Sequence[Evidence]], str]
"""Given the text before and after the verb, and the evidence: what is wrong, or ""."""

LITERAL = re.compile(r"`([^`]+)`|\b(True|False|None|null|nil)\b|(?<![\w.])(-?\d+(?:\.\d+)?)(?!\w)|['\"]([^'\"]*)['\"]")
CLAUSE_END = re.compile(
    r"[;.](?=\s|$)|,(?=\s(?!`|and `))|\b(?:if|when|unless|which|that|while|because|otherwise)\b"
    r"|\band (?=`[^`]*` \w|returns?|raises?|calls?|is|it)"
)


NOTHING = re.compile(r"\s*(?:nothing|no (?:error|exception|value)s?)\b", re.IGNORECASE)
STATEMENT = {"returned": re.compile(r"\s*(?:return|yield)\b(?! None)\s*\S"), "raised": re.compile(r"\s*(?:raise|throw)\b")}
"""Lines of code that return or raise something."""


def contradiction(claim: str, evidence: Sequence[Evidence]) -> str:
    """Return what is wrong with the facts that ``claim`` states, or "" when none of them is refuted by the evidence."""
    bare = CITATION.sub(lambda match: f" in {match.group()[1:-1]} " if _is_location(claim) else " ", claim)
    bare = USES.sub("calls", bare)
    for relation in RELATIONS:
        match = next((match for match in relation.verb.finditer(bare) if bare.count("`", 0, match.start()) % 2 == 0), None)
        if match:
            problem = relation.check(bare[: match.start()], bare[match.end() :], evidence)
            if problem:
                return problem
    return ""


@dataclass(frozen=True, slots=True)
class Relation:
    """A kind of fact: how it is said, and how it is checked."""

    verb: re.Pattern[str]
    check: Check


def _defined(before: str, after: str, evidence: Sequence[Evidence]) -> str:
    names = read_wording(before).names
    paths = [path for path in FILE_PATH.findall(CITATION.sub(lambda m: m.group()[1:-1], after)) if "/" in path or "." in path]
    if not names or not paths:
        return ""
    places = [piece for piece in evidence if piece.defines(names[0])]
    at_path = [piece for piece in places if piece.is_at(paths[0])]
    if not at_path:
        return f"`{names[0]}` is not defined in {paths[0]}"
    lines = [int(number) for number in NUMBER.findall(FILE_PATH.sub(" ", after)) if number.isdigit()]
    if lines and not any(piece.start <= line <= piece.end for piece in at_path for line in lines[:1]):
        return f"`{names[0]}` is not at line {lines[0]}"
    return ""


def _calls(before: str, after: str, evidence: Sequence[Evidence]) -> str:
    return _no_call(_subject(before), read_wording(_clause(after)).names, evidence)


def _called_by(before: str, after: str, evidence: Sequence[Evidence]) -> str:
    callees, callers = read_wording(before).names, read_wording(after).names
    return _no_call(callers, callees[:1], evidence)


def _no_call(callers: Sequence[str], callees: Sequence[str], evidence: Sequence[Evidence]) -> str:
    for caller in callers:
        places = [piece for piece in evidence if piece.defines(caller)]
        for callee in callees:
            call = re.compile(rf"(?<!def )(?<!class )\b{re.escape(_last(callee))}\b\s*(?:\[[^\]]*\])?\(")
            if not any(call.search(piece.text) for piece in places):
                return f"no call of `{callee}` is to be seen in `{caller}`"
    return ""


def _returns(before: str, after: str, evidence: Sequence[Evidence]) -> str:
    return _on_lines(before, after, evidence, re.compile(r"\breturn|\byield|->|:rtype|\)\s*:\s*\w|=>", re.IGNORECASE), "returned")


def _raises(before: str, after: str, evidence: Sequence[Evidence]) -> str:
    return _on_lines(before, after, evidence, re.compile(r"\brais|\bthrow|\bexcept|\bpanic|\berror", re.IGNORECASE), "raised")


def _on_lines(before: str, after: str, evidence: Sequence[Evidence], marker: re.Pattern[str], what: str) -> str:
    subject = _subject(before)
    places = [piece for piece in evidence if not subject or piece.defines(subject[0])] or list(evidence)
    clause = _clause(after)
    if NOTHING.match(clause):
        return _something(before, evidence, what)
    wanted = [span.strip() for span in BACKTICKS.findall(clause)] or list(read_wording(clause).names)
    wanted += re.findall(r"\b(?:True|False|None)\b", BACKTICKS.sub(" ", clause))
    for value in wanted:
        key = re.split(r"[(\[]", value)[0].rpartition(".")[2] or value
        if not any(_near(piece.lines, marker, key) for piece in places):
            return f"`{value}` is not {what} there"
    return ""


def _something(before: str, evidence: Sequence[Evidence], what: str) -> str:
    names = read_wording(before).names
    places = [piece for piece in evidence if piece.defines(names[0])] if names else evidence
    lines = [line for piece in places if "-> None" not in piece.text for line in piece.lines if STATEMENT[what].match(line)]
    return f"something is {what} there: {lines[0].strip()[:80]!r}" if lines else ""


def _near(lines: Sequence[str], marker: re.Pattern[str], key: str) -> bool:
    # A return or raise statement may run over the next lines, and a docstring says it before or after the word.
    wanted = re.compile(rf"(?<!\w){re.escape(key)}(?!\w)")
    return any(marker.search(" ".join(lines[max(0, at - 2) : at + 1])) for at, line in enumerate(lines) if wanted.search(line))


def _inherits(before: str, after: str, evidence: Sequence[Evidence]) -> str:
    children, bases = read_wording(before).names, read_wording(_clause(after)).names
    if not children or not bases:
        return ""
    places = "\n".join(piece.text for piece in evidence)
    header = re.search(rf"\b(?:class|interface|struct)\s+{re.escape(_last(children[0]))}\b[^\n:{{]*(?:\([^)]*\))?[^\n]*", places)
    if header and not all(re.search(rf"\b{re.escape(_last(base))}\b", header.group()) for base in bases[:1]):
        return f"`{children[0]}` does not inherit from `{bases[0]}`"
    return ""


def _defaults(before: str, after: str, evidence: Sequence[Evidence]) -> str:
    match = LITERAL.search(_clause(after))
    if not match:
        return ""
    value = next(group for group in match.groups() if group is not None).strip("'\"")
    parameter = read_wording(before).names[-1:]
    text = "\n".join(piece.text for piece in evidence)
    stated = rf"=\s*[\"']?{re.escape(value)}(?!\w)"
    if parameter:
        stated = rf"\b{re.escape(_last(parameter[0]))}\b[^,\n=]*{stated}"
    described = rf"(?i)default[^.\n]*{re.escape(value)}"
    return "" if re.search(stated, text) or re.search(described, text) else f"the default is not {value!r}"


def _takes(before: str, after: str, evidence: Sequence[Evidence]) -> str:
    subject, parameters = _subject(before), read_wording(_clause(after)).names
    if not subject:
        return ""
    header = re.compile(rf"\b{re.escape(_last(subject[0]))}\b\s*\((.*?)\)\s*(?:->|:|{{|$)", re.DOTALL)
    signatures = [match.group(1) for piece in evidence if piece.defines(subject[0]) and (match := header.search(piece.text))]
    for parameter in parameters if signatures else ():
        if not any(re.search(rf"\b{re.escape(_last(parameter))}\b", signature) for signature in signatures):
            return f"`{subject[0]}` takes no `{parameter}`"
    return ""


def _subject(before: str) -> tuple[str, ...]:
    # "`a` is 50, and `b` raises": what raises is named in the last clause before the verb.
    clauses = [read_wording(clause).names for clause in re.split(r"[,;]\s|\band\b", before)]
    return next((names[:1] for names in reversed(clauses) if names), ())


def _clause(text: str) -> str:
    end = CLAUSE_END.search(text)
    return text[: end.start()] if end else text


def _last(name: str) -> str:
    return re.split(r"\.|::|->", name)[-1]


def _is_location(claim: str) -> bool:
    return bool(_LOCATION.search(claim))


_LOCATION = re.compile(r"\b(?:defined|implemented|located|declared|found|lives?)\b(?:\s+(?:in|at|on|here))?", re.IGNORECASE)

RELATIONS = (
    Relation(_LOCATION, _defined),
    Relation(
        re.compile(r"\b(?:is|are|gets?)\s+(?:also\s+)?(?:called|used|invoked)\s+(?:by|from|in)\b", re.IGNORECASE), _called_by
    ),
    Relation(re.compile(r"(?<!is )(?<!are )\b(?:calls?|invokes?)\b(?!\s+by\b)", re.IGNORECASE), _calls),
    Relation(re.compile(r"\b(?:returns?|yields?)\b", re.IGNORECASE), _returns),
    Relation(re.compile(r"\b(?:raises?|throws?)\b", re.IGNORECASE), _raises),
    Relation(
        re.compile(r"\b(?:inherits? from|extends|(?:is a )?subclass(?:es)? (?:of )?|derives? from)", re.IGNORECASE), _inherits
    ),
    Relation(re.compile(r"\b(?:takes?|accepts?)\b", re.IGNORECASE), _takes),
    Relation(re.compile(r"\bdefaults? (?:value )?(?:to|of|is)\b|\bby default\b", re.IGNORECASE), _defaults),
)


def subject_of(wording: Wording) -> str:
    """Return the identifier that a sentence is about: its first, or ""."""
    return wording.names[0] if wording.names else ""
