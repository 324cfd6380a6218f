from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cia.answering.answer import Answer, Citation
from cia.dataset.pair import GoldCitation, QuestionAnswerPair
from cia.errors import InputError
from cia.evaluation import Asked, EvaluationReport, ExtractiveAnswers, QuestionSet, decide, evaluate
from cia.evaluation.bootstrap import Interval
from cia.evaluation.citation_metrics import citation_metrics
from cia.evaluation.comparison import total_change
from cia.evaluation.evaluate import choose, data_hash
from cia.evaluation.report_plot import interval_plot
from cia.evaluation.report_tables import changed
from cia.settings import EvaluationSettings, Settings


@pytest.fixture(scope="module")
def report(questions: QuestionSet) -> EvaluationReport:
    return evaluate(ExtractiveAnswers(), questions, Settings())


def test_a_report_reads_back_as_it_was(report: EvaluationReport) -> None:
    assert EvaluationReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("text", ["", "{}", '{"rows": 3}', "[1]"])
def test_what_is_no_report_is_named(text: str) -> None:
    with pytest.raises(InputError, match="not an evaluation report"):
        EvaluationReport.from_json(text)


def test_a_score_that_is_not_a_number_is_no_report(report: EvaluationReport) -> None:
    text = (
        report.to_json()
        .replace('"faithfulness": 1.0', '"faithfulness": NaN', 1)
        .replace('"faithfulness":1.0', '"faithfulness":NaN', 1)
    )
    assert "NaN" in text
    with pytest.raises(InputError):
        EvaluationReport.from_json(text)


def test_the_pages_show_the_comparison(report: EvaluationReport, tmp_path: Path) -> None:
    row = report.rows[0]
    hostile = row.model_copy(
        update={"answer": "<script>alert(1)</script>\n# Heading", "values": {**row.values, "citation_recall": 0.0}}
    )
    worse = report.model_copy(update={"name": "a|b", "rows": (hostile, *report.rows[1:])})
    decision = decide(worse, report, EvaluationSettings())
    worse.save(tmp_path, report, decision)

    markdown, page = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    assert "| citation recall |" in markdown
    assert f"## Changed: {row.kind}\n\n### Worse" in markdown
    assert "\n# Heading" not in markdown
    for text in (markdown, page):
        assert "<script>" not in text
        assert text.index(decision.reason) < text.index("citation recall")
        assert report.data_hash[:12] in text
        assert report.index_fingerprint[:12] in text
        assert "fall at most 0.03; at least 0.5" in text
    assert "<svg" in page
    assert "http" not in page
    HTMLParser().feed(page)
    assert worse.to_html(report, decision) == page


def test_the_page_of_one_system_needs_no_other(report: EvaluationReport) -> None:
    page = report.to_html()
    assert "Evaluation of extractive" in page
    assert "<svg" not in page
    assert "answers that changed" not in page.lower()


class Shy:
    """Declines what the code answers, answers what it does not, and says how fast."""

    name = "shy"
    tokens_per_second = 41.7

    def answer(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        return [Answer("It is.", False, "llm", "shy", (), {}) if "set up" in each.question else DECLINED for each in asked]


DECLINED = Answer("The indexed code does not answer this.", True, "llm", "shy", (), {})


def test_abstaining_is_counted_both_ways_and_speed_is_shown(questions: QuestionSet, report: EvaluationReport) -> None:
    shy = evaluate(Shy(), questions, Settings())
    unanswerable = sum(question.pair.kind == "unanswerable" for question in questions.questions)
    answerable = len(questions.questions) - unanswerable
    assert (shy.declined_though_answerable.hits, shy.declined_though_answerable.count) == (answerable, answerable)
    assert (shy.answered_though_unanswerable.hits, shy.answered_though_unanswerable.count) == (unanswerable, unanswerable)
    assert report.declined_though_answerable.hits == 0
    markdown = shy.to_markdown(report)
    assert f"| declined, though the code answers | {answerable} of {answerable} (100%) | 0 of {answerable} (0%) |" in markdown
    assert "| tokens written a second | 42 | not counted |" in markdown
    assert "*now, declined, though the code answers:*" in markdown


def test_the_answers_of_each_kind_that_changed_most_are_shown_and_the_rest_counted(
    questions: QuestionSet, report: EvaluationReport
) -> None:
    groups = {group.kind: group for group in changed(evaluate(Shy(), questions, Settings()), report)}
    assert len(groups["what"].worse) == 4
    assert groups["what"].unshown > 0
    totals = [total_change(*pair) for pair in groups["what"].worse]
    assert totals == sorted(totals)


def test_the_plot_says_which_way_a_metric_went() -> None:
    plot = interval_plot(
        {"up": Interval(0.1, 0.05, 0.15), "down": Interval(-0.1, -0.15, -0.05), "level": Interval(0.0, -0.01, 0.02)}, "a < b"
    )
    assert re.findall(r'<g class="(\w+)"', plot) == ["up", "down", "level"]
    assert "a &lt; b" in plot
    centres = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', plot)]
    zero = float(re.search(r'class="zero" x1="([\d.]+)"', plot).group(1))
    assert centres[1] < zero < centres[0]
    assert centres[2] == zero


def pair(
    kind: str = "where", gold: tuple[tuple[int, int], ...] = ((10, 19),), question: str = "Where is it?"
) -> QuestionAnswerPair:
    places = tuple(
        GoldCitation(repo="r", commit="c", file_path="f.py", line_start=start, line_end=end, symbol="s") for start, end in gold
    )
    return QuestionAnswerPair(
        id=question, kind=kind, question=question, answer="There.", citations=places, repo="r", commit="c", split="evaluation"
    )


def answer(*lines: tuple[int, int], text: str = "It is there.", abstained: bool = False) -> Answer:
    cited = tuple(Citation("r", "c", "f.py", start, end, "s") for start, end in lines)
    return Answer(text, abstained, "llm", "m", cited, {})


@pytest.mark.parametrize(
    ("cited", "precision", "recall", "right_line"),
    [
        ([(10, 19)], 1.0, 1.0, 1.0),
        ([(10, 14)], 1.0, 0.5, 1.0),
        ([(1, 40)], 0.25, 1.0, 1.0),
        ([(10, 19), (50, 59)], 0.5, 1.0, 1.0),
        ([(50, 59), (10, 19)], 0.5, 0.0, 0.0),
        ([(50, 59)], 0.0, 0.0, 0.0),
        ([], 0.0, 0.0, 0.0),
    ],
)
def test_citations_are_scored_by_their_lines(
    cited: list[tuple[int, int]], precision: float, recall: float, right_line: float
) -> None:
    scores = citation_metrics(pair(), answer(*cited))
    assert (scores["citation_precision"], scores["citation_recall"], scores["right_line_rate"]) == (precision, recall, right_line)


def test_two_supporting_places_may_both_be_cited() -> None:
    two = pair("callers", ((10, 19), (30, 39)))
    assert citation_metrics(two, answer((10, 19), (30, 39)))["citation_recall"] == 1.0
    assert citation_metrics(two, answer((10, 19)))["citation_recall"] == 0.5


def test_a_question_without_an_answer_is_answered_by_abstaining() -> None:
    unanswerable = pair("unanswerable", ())
    assert set(citation_metrics(unanswerable, answer(abstained=True)).values()) == {1.0}
    assert set(citation_metrics(unanswerable, answer((1, 2))).values()) == {0.0}
    assert set(citation_metrics(pair(), answer(abstained=True)).values()) == {0.0}
    assert set(citation_metrics(unanswerable, answer(text=" ", abstained=True)).values()) == {0.0}


def test_the_choice_of_questions_depends_on_their_ids_alone() -> None:
    pairs = [pair(question=f"Question {number}?") for number in range(50)]
    chosen = choose(pairs, 10)
    assert chosen == choose(pairs[::-1], 10)
    assert len(chosen) == 10
    assert data_hash(chosen) == data_hash(chosen[::-1])
    assert data_hash(chosen) != data_hash(chosen[:9])
    with pytest.raises(InputError, match="build the data set"):
        choose([], 10)
