"""Prints how often the judge of the settings agrees with hand-made verdicts, by class of answer, with 95% intervals.

python -m benchmarks.judge [--misses tuning]
CIA_EVALUATION__JUDGE=http://127.0.0.1:8000/v1 CIA_EVALUATION__JUDGE_MODEL=NAME python -m benchmarks.judge
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from benchmarks.judge.agreement import CLASSES, HALVES, JudgedAnswer, agreement, judge_all
from cia.evaluation.judge import open_judge
from cia.proportions import Share
from cia.settings import load_settings

EACH_SIDE = 0.975
"""Two one-sided limits of 97.5% enclose a 95% interval."""


def main() -> None:
    """Judge the answers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misses", choices=HALVES, help="also print the answers of that half on which the two differ")
    options = parser.parse_args()
    judge = open_judge(load_settings().evaluation)
    answers = judge_all(judge)
    print(f"{len(answers)} answers, judge {judge.name}\n")
    print(f"{'':26}{'tuning half':>26}{'held-out half':>28}")
    for name in (*CLASSES, "all"):
        _print_line(name, [answer for answer in answers if name in ("all", answer.row["class"])])
    print(f"\n{'of which':26}")
    _print_shares("supported by the context", answers, lambda answer: answer.faithful == answer.row["faithful"])
    _print_shares("about the question", answers, lambda answer: (answer.relevancy >= 0.5) == answer.row["relevant"])
    _print_shares("bad answers let pass", answers, lambda answer: answer.false_pass)
    _print_shares("verdicts not given", answers, lambda answer: bool(answer.failures))
    for answer in answers if options.misses else ():
        if answer.row["split"] == options.misses and not answer.agrees:
            said = f"judged {answer.verdict} ({answer.faithful}, {answer.relevancy:.2f})"
            print(f"\n{answer.row['class']} ({answer.row['note']}): {said}")
            print(f"  {answer.row['question']}\n  {answer.row['answer']!r}")


def _print_line(name: str, answers: Sequence[JudgedAnswer]) -> None:
    cells = [_cell(agreement(answer for answer in answers if answer.row["split"] == half)) for half in HALVES]
    print(f"{name:26}{cells[0]:>26}{cells[1]:>28}")


def _print_shares(name: str, answers: Sequence[JudgedAnswer], holds: Callable[[JudgedAnswer], bool]) -> None:
    halves = [[answer for answer in answers if answer.row["split"] == half] for half in HALVES]
    cells = [_cell(Share(sum(map(holds, half)), len(half))) for half in halves]
    print(f"{name:26}{cells[0]:>26}{cells[1]:>28}")


def _cell(share: Share) -> str:
    low, high = share.limits(EACH_SIDE)
    return f"{share.hits:3} of {share.count:<3} {share.rate:.2f} [{low:.2f}, {high:.2f}]" if share.count else ""


if __name__ == "__main__":
    main()
