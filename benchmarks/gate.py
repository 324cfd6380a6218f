"""Prints how often the gate promotes adapters whose true worth is known, by number of questions.

    python -m benchmarks.gate [--runs 400]

Answers are drawn as the choice form gives them. Of a question, both systems have the same chance to find the right place, and
draw it on their own, as two trainings do that differ by their seed; a better candidate also mends some of what it missed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from cia.evaluation import EvaluationReport, decide
from cia.evaluation.report import Row
from cia.proportions import Share
from cia.settings import EvaluationSettings, load_settings

QUESTIONS = (20, 40, 80, 150, 300)
TRUE_GAINS = {"no different": 0.0, "5 points worse": -0.05, "5 points better": 0.05, "10 points better": 0.10}

RIGHT_PLACE = 0.84
"""Of the baseline, on questions that the code answers: what the base model reaches on repositories it never saw."""

EASE = (4.2, 0.8)
"""Of the Beta distribution of a question's chance, with RIGHT_PLACE as its mean: most are easy, some hopeless."""

REORDERED, STILL_RIGHT = 40, 0.9
"""Questions asked again with their context in another order, and how often a place found is then found again."""

UNANSWERABLE, DECLINED_RIGHTLY, DECLINED_WRONGLY = 0.1, 0.65, 0.03
STILL_RELEVANT = 0.2
"""Of the sentences about a wrong place, how many share enough with the question."""

EACH_SIDE = 0.975


def main() -> None:
    """Print a row for each true gain and a column for each number of questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="comparisons a cell")
    options = parser.parse_args()
    settings = load_settings().evaluation
    print(f"share promoted of {options.runs} candidates [95% interval]; gain on {' or '.join(settings.gain_metrics)}\n")
    print(f"{'questions':18}{''.join(f'{questions:>20}' for questions in QUESTIONS)}")
    for name, gain in TRUE_GAINS.items():
        cells = [_cell(promoted(settings, questions, gain, options.runs)) for questions in QUESTIONS]
        print(f"{name:18}{''.join(f'{cell:>20}' for cell in cells)}", flush=True)


def promoted(settings: EvaluationSettings, questions: int, gain: float, runs: int) -> Share:
    """Return how many of ``runs`` candidates were promoted that find ``gain`` more of the right places than the baseline."""
    random = np.random.default_rng([questions, round(1000 * gain) % 1000])
    verdicts = [decide(*_two_reports(random, questions, gain), settings).promoted for _ in range(runs)]
    return Share(sum(verdicts), runs)


def _two_reports(random: np.random.Generator, questions: int, gain: float) -> Iterator[EvaluationReport]:
    chances, unanswerable = random.beta(*EASE, questions), random.random(questions) < UNANSWERABLE
    for name, more in (("candidate", gain), ("baseline", 0.0)):
        found = random.random(questions) < chances
        changed = random.random(questions)
        if more > 0:
            found |= changed < more / (1 - RIGHT_PLACE)
        else:
            found &= changed >= -more / RIGHT_PLACE
        rows = tuple(_row(random, number, bool(found[number]), bool(unanswerable[number])) for number in range(questions))
        yield EvaluationReport(name=name, judge="drawn", data_hash="d", index_fingerprint="i", rows=rows)


def _row(random: np.random.Generator, number: int, found: bool, unanswerable: bool) -> Row:
    declined = random.random() < (DECLINED_RIGHTLY if unanswerable else DECLINED_WRONGLY)
    right = declined if unanswerable else found and not declined
    supported = right if declined else True
    relevant = right or (not declined and random.random() < STILL_RELEVANT)
    values = dict.fromkeys(("citation_precision", "citation_recall", "right_line_rate"), float(right))
    values |= {
        "faithfulness": float(supported),
        "answer_relevancy": float(relevant),
        "abstention": float(declined == unanswerable),
    }
    if number < REORDERED and not unanswerable:
        values["right_line_shuffled"] = float(right and random.random() < STILL_RIGHT)
    return Row.model_construct(
        id=f"{number}", kind="unanswerable" if unanswerable else "where", question="", expected="", answer="drawn",
        abstained=declined, citations=(), gold=(), dropped_citations=0, answer_words=1, values=values, failures={},
    )  # fmt: skip


def _cell(share: Share) -> str:
    low, high = share.limits(EACH_SIDE)
    return f"{share.rate:.0%} [{low:.0%}, {high:.0%}]"


if __name__ == "__main__":
    main()
