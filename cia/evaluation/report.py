"""What an evaluation found: a row for each question, the means, and what it was measured on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cia.dataset.pair import QuestionKind
from cia.durable_files import replace_text
from cia.errors import InputError
from cia.evaluation.metrics import METRICS
from cia.proportions import Share

if TYPE_CHECKING:
    from cia.evaluation.gate import Decision


UNANSWERABLE = "unanswerable"


class Row(BaseModel):
    """One answered question. A value is from 0 to 1, or None where the metric says nothing about such a question.

    ``failures`` names the metrics whose judge failed, and why; their value is 0. ``answer_words`` is the answer's length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str
    kind: QuestionKind
    question: str
    expected: str
    answer: str
    abstained: bool
    citations: tuple[str, ...]
    gold: tuple[str, ...]
    dropped_citations: int
    answer_words: int
    values: dict[str, float | None]
    failures: dict[str, str] = {}


class EvaluationReport(BaseModel):
    """The scores of one system. Two reports can be compared when their ``data_hash`` and ``index_fingerprint`` agree.

    ``leaked`` are the ids of questions that the training set gave away. ``seconds`` is the whole evaluation, of which
    ``answering_seconds`` went to the answers; ``tokens_per_second`` is what a model wrote, None where nobody counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    name: str
    judge: str
    data_hash: str
    index_fingerprint: str
    rows: tuple[Row, ...]
    leaked: tuple[str, ...] = ()
    seconds: float = 0.0
    answering_seconds: float = 0.0
    tokens_per_second: float | None = None

    @property
    def means(self) -> dict[str, float]:
        """Mean of each metric over the questions it applies to; a metric that applies to none is left out."""
        return means(self.rows)

    @property
    def judge_failures(self) -> int:
        """How many verdicts the judge failed to give."""
        return sum(len(row.failures) for row in self.rows)

    @property
    def declined_though_answerable(self) -> Share:
        """How many of the questions that the code answers got no answer: an abstention or nothing at all."""
        answerable = [row for row in self.rows if row.kind != UNANSWERABLE]
        return Share(sum(row.abstained or not row.answer.strip() for row in answerable), len(answerable))

    @property
    def answered_though_unanswerable(self) -> Share:
        """How many of the questions that the code does not answer were not declined."""
        unanswerable = [row for row in self.rows if row.kind == UNANSWERABLE]
        return Share(sum(not row.abstained for row in unanswerable), len(unanswerable))

    @property
    def answer_words(self) -> float:
        """Mean length of an answer in words."""
        return sum(row.answer_words for row in self.rows) / max(1, len(self.rows))

    def by_kind(self) -> dict[str, dict[str, float]]:
        """Return the means for each kind of question."""
        kinds = sorted({row.kind for row in self.rows})
        return {kind: means([row for row in self.rows if row.kind == kind]) for kind in kinds}

    def to_json(self) -> str:
        """Return the report as one JSON document that ``from_json`` reads back."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> EvaluationReport:
        """Return the report in ``text``. Raises InputError when it is none."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "document"
            raise InputError(f"not an evaluation report: {place}: {first['msg']}; run the evaluation again") from None

    def to_markdown(self, baseline: EvaluationReport | None = None, decision: Decision | None = None) -> str:
        """Return a page for people; with a ``baseline``, the comparison and the answers that changed, with the gate's word."""
        from cia.evaluation.report_markdown import markdown

        return markdown(self, baseline, decision)

    def to_html(self, baseline: EvaluationReport | None = None, decision: Decision | None = None) -> str:
        """Return the same as one HTML file with a plot in it, needing nothing else."""
        from cia.evaluation.report_html import html

        return html(self, baseline, decision)

    def save(self, directory: Path, baseline: EvaluationReport | None = None, decision: Decision | None = None) -> None:
        """Write ``report.json``, ``report.md`` and ``report.html`` into ``directory``."""
        replace_text(directory / "report.json", self.to_json())
        replace_text(directory / "report.md", self.to_markdown(baseline, decision))
        replace_text(directory / "report.html", self.to_html(baseline, decision))


def means(rows: Iterable[Row]) -> dict[str, float]:
    """Return the mean of each metric over the rows where it is not None, in the order of METRICS."""
    return {name: sum(values) / len(values) for name in METRICS if (values := applicable(rows, name))}


def applicable(rows: Iterable[Row], metric: str) -> Sequence[float]:
    """Return the values of ``metric`` where it says something."""
    return [value for row in rows if (value := row.values.get(metric)) is not None]
