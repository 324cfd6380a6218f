"""Whether a context supports a sentence about code, decided without a language model.

A sentence counts as supported when its identifiers, file paths and numbers all stand in the context, most of its content words
do so in the same place, the facts it states are found in the shape they have in code, and it does not negate what the place
affirms. This is the lexical overlap of the early textual-entailment challenges (Dagan, Glickman, Magnini, The PASCAL Recognising
Textual Entailment Challenge, 2006) with the structure of code added. It cannot judge a paraphrase that shares no words:
``tests/evaluation/judged_answers.jsonl`` measures how often it agrees with a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cia.evaluation.evidence import NEGATION, Evidence
from cia.evaluation.relations import contradiction, subject_of
from cia.evaluation.wording import CITATION, Wording, all_words, read_wording

REQUIRED_WORD_SHARE = 0.6
"""Of a sentence's content words, how many must stand in one place. Chosen on the judged answers; a phrase may be reworded."""

FEW_WORDS = 5
REQUIRED_OF_FEW_WORDS = 0.8
"""A short sentence has no word to spare: the one that is missing is often the verb."""

REQUIRED_LINE_SHARE = 0.9
"""Of a quoted block's lines, how many must stand in one place as they are."""

NEGATION_WORD_SHARE = 0.25
"""A clause must hold this much of a sentence's words before a missing or extra "not" counts against the sentence."""


CITED_LINES = re.compile(r"\[(?P<path>[^\[\]\s`]+):(?P<start>\d+)(?:-(?P<end>\d+))?\]")


@dataclass(frozen=True, slots=True)
class Finding:
    """``yes``: supported. ``no``: refuted. ``borderline``: nothing supports it. ``reason`` says why, unless supported."""

    verdict: Literal["yes", "no", "borderline"]
    reason: str = ""


SUPPORTED = Finding("yes")


def supports(evidence: Sequence[Evidence], claim: str) -> Finding:
    """Return whether the evidence supports ``claim``, and those lines of it that the claim itself cites are about it.

    A cited place need not hold all of the claim, but it must name what the claim is about and share its words.
    """
    finding = entails(evidence, claim)
    places = [match.groupdict() for match in CITED_LINES.finditer(claim)]
    if finding.verdict != "yes" or not places:
        return finding
    cited = [piece for piece in evidence if any(_overlaps(piece, place) for place in places)]
    wording = read_wording(claim)
    subject = subject_of(wording)
    named = [piece for piece in cited if not subject or piece.has_name(subject)]
    if any(_share(wording.words, piece.words) >= _required(wording) for piece in named):
        return SUPPORTED
    return Finding("no", "the lines that it cites do not say this" if cited else "it cites lines that were not shown")


def entails(evidence: Sequence[Evidence], claim: str) -> Finding:
    """Return whether the evidence supports ``claim`` (a sentence, or a fenced code block as a quotation)."""
    if claim.startswith("```"):
        return _quoted(evidence, claim)
    wording = read_wording(claim)
    if wording.empty:
        return Finding("borderline", "it states nothing that could be checked")
    missing = _missing_facts(evidence, wording)
    if missing:
        return Finding("borderline", f"the context does not mention {missing}")
    places = _places_about(evidence, wording)
    best = max(places, key=lambda piece: _share(wording.words, piece.words), default=None)
    if best is None or _share(wording.words, best.words) < _required(wording):
        return Finding("borderline", "the context does not say this")
    problem = contradiction(claim, evidence)
    if not problem and not _quotes(evidence, claim):
        problem = _negation_mismatch(claim, wording, best)
    return Finding("no", problem) if problem else SUPPORTED


def _missing_facts(evidence: Sequence[Evidence], wording: Wording) -> str:
    for path in wording.paths:
        if not any(piece.is_at(path) or path in piece.text or piece.has_name(path) for piece in evidence):
            return path
    for name in wording.names:
        if not any(piece.has_name(name) for piece in evidence):
            return f"`{name}`"
    for number in sorted(wording.numbers):
        if not any(piece.has_number(number) for piece in evidence):
            return number
    return ""


def _places_about(evidence: Sequence[Evidence], wording: Wording) -> Sequence[Evidence]:
    subject = subject_of(wording)
    # What is said of a definition must stand where that name does; whether it is a fact about it, the relations tell.
    return [piece for piece in evidence if piece.has_name(subject)] or evidence if subject else evidence


def _required(wording: Wording) -> float:
    return REQUIRED_WORD_SHARE if len(wording.words) > FEW_WORDS else REQUIRED_OF_FEW_WORDS


def _overlaps(piece: Evidence, place: dict[str, str]) -> bool:
    start = int(place["start"])
    return piece.path == place["path"] and piece.start <= int(place["end"] or start) and start <= piece.end


def _share(wanted: frozenset[str], present: frozenset[str]) -> float:
    return len(wanted & present) / len(wanted) if wanted else 1.0


def _negation_mismatch(claim: str, wording: Wording, place: Evidence) -> str:
    """Return what the place says to the contrary, looking at the few clauses that the sentence is closest to."""
    clauses = [clause for line in place.lines for clause in re.split(r"[.;](?=\s|$)", line) if clause.strip()]
    left, close = wording.words, list[str]()
    while left:
        clause = max(clauses, key=lambda text: len(left & all_words(text)), default="")
        covered = left & all_words(clause)
        if len(covered) < NEGATION_WORD_SHARE * len(wording.words):
            break
        close.append(clause)
        left -= covered
    claimed = bool(NEGATION.search(CITATION.sub(" ", claim)))
    if not close or claimed == any(NEGATION.search(clause) for clause in close):
        return ""
    return f"the code says the opposite: {' '.join(close).strip()[:80]!r}"


def _quotes(evidence: Sequence[Evidence], claim: str) -> bool:
    """Whether what the claim says after a colon stands word for word in one place."""
    said = _flat(CITATION.sub("", claim).partition(": ")[2]).strip(" .")
    return bool(said) and any(said in _flat(piece.text) for piece in evidence)


def _flat(text: str) -> str:
    # A docstring's ``name`` and :func:`name` are `name` in an answer.
    return re.sub(r"(?::\w+:)?`+", "`", " ".join(text.split()))


def _quoted(evidence: Sequence[Evidence], block: str) -> Finding:
    quoted = [
        line.strip() for line in block.strip("`\n").split("\n") if line.strip() and line.strip() not in ("...", "…", "# ...")
    ]
    for piece in evidence:
        present = {line.strip() for line in piece.lines}
        if quoted and sum(line in present for line in quoted) / len(quoted) >= REQUIRED_LINE_SHARE:
            return SUPPORTED
    return Finding("no", "the quoted lines do not stand in the context like this")
