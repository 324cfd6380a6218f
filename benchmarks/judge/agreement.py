"""Answers about a small shop that a person judged, and whether a judge says the same.

``tests/evaluation/judged_answers.jsonl`` holds them: of each answer whether the context supports it (``faithful``: yes, half or
no) and whether it is about the question (``relevant``). Rules were written looking at the half called ``tuning``, never at
``held_out``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cia.evaluation.deepeval_metrics import DeepEvalMetrics
from cia.evaluation.evidence import describe
from cia.evaluation.judge import Judge
from cia.proportions import Share
from cia.retrieval.result import SearchResult

TESTS = Path(__file__).resolve().parents[2] / "tests" / "evaluation"
HALVES = ("tuning", "held_out")
CLASSES = (
    "right", "wrong", "half-right", "fluent but unsupported", "beside the point", "wrong lines", "empty",
)  # fmt: skip

Verdict = Literal["good", "half", "bad"]


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer, what a person said of it (a line of the file), and what the judge says."""

    row: Mapping[str, Any]
    faithfulness: float
    relevancy: float
    failures: tuple[str, ...]

    @property
    def faithful(self) -> str:
        """The judge's word on the support: yes from three quarters of the claims on, no up to a quarter, else half."""
        return "yes" if self.faithfulness >= 0.75 else "no" if self.faithfulness <= 0.25 else "half"

    @property
    def verdict(self) -> Verdict:
        """What the judge makes of both."""
        return _verdict(self.faithful, self.relevancy >= 0.5)

    @property
    def right_verdict(self) -> Verdict:
        """What the person makes of both."""
        return _verdict(self.row["faithful"], self.row["relevant"])

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.verdict == self.right_verdict

    @property
    def false_pass(self) -> bool:
        """Whether the judge lets a bad answer pass."""
        return self.verdict == "good" and self.right_verdict == "bad"


def judge_all(judge: Judge) -> list[JudgedAnswer]:
    """Return every answer of the file with the judge's scores."""
    metrics, shop = DeepEvalMetrics(judge), shop_places()
    return [_judge(metrics, shop, json.loads(line)) for line in (TESTS / "judged_answers.jsonl").read_text().splitlines()]


def agreement(answers: Iterable[JudgedAnswer]) -> Share:
    """Return on how many answers the judge says what the person said."""
    found = [answer.agrees for answer in answers]
    return Share(sum(found), len(found))


def shop_places() -> dict[str, SearchResult]:
    """Return the chunks of the shop by symbol; what stands outside definitions under the name of its module."""
    return {name: place for path in sorted((TESTS / "shop").glob("*.py")) for name, place in _places(path)}


def _judge(metrics: DeepEvalMetrics, shop: Mapping[str, SearchResult], row: Mapping[str, Any]) -> JudgedAnswer:
    context = [describe(shop[name]) for name in row["context"]]
    faithfulness = metrics.faithfulness(row["question"], row["answer"] or " ", context)
    relevancy = metrics.answer_relevancy(row["question"], row["answer"] or " ")
    failures = tuple(judged.failure for judged in (faithfulness, relevancy) if judged.failure)
    return JudgedAnswer(row, faithfulness.score, relevancy.score, failures)


def _verdict(faithful: str, relevant: bool) -> Verdict:
    if not relevant or faithful == "no":
        return "bad"
    return "good" if faithful == "yes" else "half"


def _places(path: Path) -> Iterator[tuple[str, SearchResult]]:
    source = path.read_text()
    definitions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]

    def place(symbol: str, kind: str, start: int, end: int | None) -> SearchResult:
        text = "\n".join(source.split("\n")[start - 1 : end])
        return SearchResult("shop", "c" * 40, f"shop/{path.name}", start, end or start, "python", symbol, kind, 1.0, text)

    yield path.stem, place("", "module", 1, definitions[0].lineno - 1)
    for node in definitions:
        if isinstance(node, ast.FunctionDef):
            yield node.name, place(node.name, "function", node.lineno, node.end_lineno)
            continue
        methods = [member for member in node.body if isinstance(member, ast.FunctionDef)]
        yield node.name, place(node.name, "class", node.lineno, methods[0].lineno - 1 if methods else node.end_lineno)
        for method in methods:
            symbol = f"{node.name}.{method.name}"
            yield symbol, place(symbol, "function", method.lineno, method.end_lineno)
