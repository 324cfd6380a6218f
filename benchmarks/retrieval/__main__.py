"""Compare retrieval with its peers: ``python -m benchmarks.retrieval --help`` says how.

python -m benchmarks.retrieval --skip-slow                      # minutes: everything but the transformer
python -m benchmarks.retrieval --systems cia --split tune       # seconds: for whoever tunes
python -m benchmarks.retrieval --history ~/src/requests ~/src/gson --annotations ~/annotations --json report.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.retrieval.measure import Measurement, measure
from benchmarks.retrieval.question import QuestionSet
from benchmarks.retrieval.sets import QuestionSets, sampled, split_of
from benchmarks.retrieval.systems import SLOW, SYSTEMS
from benchmarks.retrieval.table import differences, render
from cia.durable_files import replace_text
from cia.errors import CiaError, InputError, OperationError
from cia.settings import load_settings

KINDS = ("docstring", "history", "commit", "annotated")


def main() -> int:
    """Build the sets, measure the systems, print the table; return the exit code."""
    options = _parser().parse_args()
    try:
        cache = (options.cache or load_settings().home / "benchmarks" / "retrieval").absolute()
        sets = [sampled(question_set, options.limit) for question_set in _gather(options, cache) if question_set.questions]
        if not sets:
            raise InputError("no questions match --kinds, --split and --repos; ask for others, or give --history")
        systems = [name for name in options.systems if not (options.skip_slow and name in SLOW)]
        measurements, failures = _measure_all(systems, sets, cache)
        if measurements:
            print(render(measurements))
        if options.json:
            replace_text(options.json, _report(sets, measurements))
    except CiaError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 1 if failures else 0


def _measure_all(systems: Sequence[str], sets: Sequence[QuestionSet], cache: Path) -> tuple[list[Measurement], int]:
    measurements, failures = [], 0
    for kind in dict.fromkeys(question_set.kind for question_set in sets):
        of_kind = [question_set for question_set in sets if question_set.kind == kind]
        for system in systems:
            print(f"{kind}: {system} ...", file=sys.stderr, flush=True)
            try:
                measurements.append(measure(system, of_kind, cache))
            except OperationError as error:
                failures += 1
                print(error, file=sys.stderr)
    return measurements, failures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description="Retrieval against its peers.")
    systems = "; ".join(f"{name}: {what}" for name, what in SYSTEMS.items())
    parser.add_argument("--systems", type=_choice(SYSTEMS), default=list(SYSTEMS), help=f"comma-separated; {systems}")
    parser.add_argument("--kinds", type=_choice(KINDS), default=list(KINDS), help=f"comma-separated: {', '.join(KINDS)}")
    parser.add_argument(
        "--split", choices=("tune", "report", "all"), default="report", help="which repositories (default: report)"
    )
    parser.add_argument("--repos", type=lambda text: text.split(","), help="only these repositories, comma-separated")
    parser.add_argument("--limit", type=_positive, metavar="N", help="ask at most N questions of each repository")
    parser.add_argument("--history", type=Path, nargs="+", default=[], metavar="PATH", help="git repositories to ask commits of")
    parser.add_argument("--annotations", type=Path, metavar="DIR", help="more annotated questions, ours or semble's format")
    parser.add_argument("--skip-slow", action="store_true", help="leave out systems that embed with a transformer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every question, ranking and score there")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="where sets, models and vectors are kept (default: in CIA_HOME)"
    )
    return parser


def _choice(allowed: Sequence[str] | dict[str, str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if unknown := [name for name in names if name not in allowed]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; choose from {', '.join(allowed)}")
        return names

    return parse


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of questions; give 1 or more")
    return int(text)


def _gather(options: argparse.Namespace, cache: Path) -> list[QuestionSet]:
    def wanted(repo: str) -> bool:
        return (options.split in ("all", split_of(repo))) and (not options.repos or repo in options.repos)

    builder = QuestionSets(cache)
    sets: list[QuestionSet] = []
    if "docstring" in options.kinds:
        sets += builder.docstring(wanted)
    if "history" in options.kinds:
        sets += builder.history(options.history, wanted)
    if "commit" in options.kinds:
        sets += builder.commit(options.history, wanted)
    if not options.history and {"history", "commit"} & set(options.kinds):
        print("history, commit: left out; give git repositories with --history PATH ...", file=sys.stderr)
    if "annotated" in options.kinds:
        sets += builder.annotated(wanted)
        if options.annotations:
            sets += builder.annotated(wanted, options.annotations, "external")
            external, notices = builder.semble(options.annotations, options.history, wanted)
            sets += external
            print("".join(f"{notice}\n" for notice in notices), end="", file=sys.stderr)
    return sets


def _report(sets: Sequence[QuestionSet], measurements: Sequence[Measurement]) -> str:
    questions = {
        f"{question_set.repo}/{question.id}": {"kind": question_set.kind, "split": question_set.split, **question.as_json()}
        for question_set in sets
        for question in question_set.questions
    }
    firsts = {measurement.kind: measurement for measurement in reversed(measurements)}
    rows = [
        {
            **asdict(measurement),
            "differences": {
                metric: asdict(interval) for metric, interval in differences(firsts[measurement.kind], measurement).items()
            },
        }
        for measurement in measurements
    ]
    return json.dumps({"questions": questions, "measurements": rows}, indent=1)


if __name__ == "__main__":
    sys.exit(main())
