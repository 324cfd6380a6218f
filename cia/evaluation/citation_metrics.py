"""How well an answer cites, comparable between a model that cites one place and extractive answers that cite three.

- ``citation_precision``: of the lines it cites, how many support the answer; the mean over its citations. A needless one costs.
- ``citation_recall``: of the supporting lines, how many are covered by its first citations, as many as there are supporting
  places (R-precision's cut-off; Manning, Raghavan, Schütze, Introduction to Information Retrieval, 8.4). Citing more places
  than there are therefore gains nothing.
- ``right_line_rate``: 1 when the first citation, the one that people open, points at supporting lines.

A question without an answer in the code is answered rightly by abstaining: all three are then 1, else 0. (Such a reply may
point to the closest places; they support nothing, and are not held against it.) To abstain where there is an answer scores 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cia.answering.answer import Answer, Citation
from cia.dataset.pair import GoldCitation, QuestionAnswerPair

Lines = set[tuple[str, str, int]]


def citation_metrics(pair: QuestionAnswerPair, answer: Answer) -> dict[str, float]:
    """Return ``citation_precision``, ``citation_recall``, ``right_line_rate`` and ``abstention`` (right to decline or answer)."""
    unanswerable = pair.kind == "unanswerable"
    blank = not answer.answer.strip()
    abstention = 0.0 if blank else float(answer.abstained == unanswerable)
    if unanswerable or blank or answer.abstained:
        right = float(unanswerable and answer.abstained and not blank)
        return {"citation_precision": right, "citation_recall": right, "right_line_rate": right, "abstention": abstention}
    cited = list(dict.fromkeys(answer.citations))
    gold = _lines(pair.citations)
    return {
        "citation_precision": _precision(cited, gold),
        "citation_recall": len(_lines(cited[: len(pair.citations)]) & gold) / len(gold) if gold else 0.0,
        "right_line_rate": float(bool(cited) and bool(_lines(cited[:1]) & gold)),
        "abstention": abstention,
    }


def _precision(cited: Sequence[Citation], gold: Lines) -> float:
    if not cited:
        return 0.0
    return sum(len((lines := _lines([citation])) & gold) / len(lines) for citation in cited) / len(cited)


def _lines(places: Iterable[Citation | GoldCitation]) -> Lines:
    return {
        (place.repo, place.file_path, line)
        for place in places
        for line in range(place.line_start, max(place.line_start, place.line_end) + 1)
    }
