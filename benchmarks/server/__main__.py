"""Measure the answer server under load, and print Markdown tables: ``python -m benchmarks.server``.

python -m benchmarks.server                              # all three, some twenty minutes
python -m benchmarks.server --only extractive --seconds 10
python -m benchmarks.server --only soak --minutes 2

The server and vLLM run as processes of their own on 127.0.0.1 with everything they keep in a temporary folder. The machine should
do nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.server.against_vllm import STREAMS, measure_against_vllm
from benchmarks.server.extractive import measure_extractive
from benchmarks.server.running import changed, interpreter_of_vllm, reciting_vllm
from benchmarks.server.soak import measure_soak
from cia.errors import CiaError
from cia.retrieval import Indexer
from cia.settings import Settings, load_settings

SOURCE = "pypi:celery==5.7.0"
SOAK_ANSWER_TOKENS = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Index, measure, print; return the exit code."""
    options = _parser().parse_args(arguments)
    chosen = [options.only] if options.only else ["llm", "extractive", "soak"]
    try:
        with tempfile.TemporaryDirectory(prefix="server-benchmark-") as home:
            settings = _settings(Path(home))
            report = Indexer(settings).index(options.source)
            if "llm" in chosen and _can_start_vllm(settings):
                print("## The server against vLLM itself\n")
                print(measure_against_vllm(settings, options.streams, options.requests, options.rounds), end="\n\n", flush=True)
            if "extractive" in chosen:
                print("## Without a model\n")
                print(
                    measure_extractive(settings, report.chunks, options.workers, options.seconds, os.cpu_count() or 1),
                    end="\n\n",
                    flush=True,
                )
            if "soak" in chosen:
                print("## Over time\n")
                print(_soak(settings, options.minutes, options.rate), flush=True)
    except CiaError as error:
        print(f"benchmarks.server: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _settings(home: Path) -> Settings:
    """The project's defaults, whatever else this machine's environment says."""
    return load_settings(environment={"CIA_HOME": str(home)})


def _can_start_vllm(settings: Settings) -> bool:
    if interpreter_of_vllm(settings).exists():
        return True
    print(f"no vLLM at {interpreter_of_vllm(settings)}; `make setup` installs it", file=sys.stderr)
    return False


def _soak(settings: Settings, minutes: float, rate: float) -> str:
    if not _can_start_vllm(settings):
        return measure_soak(settings, minutes, rate)
    with reciting_vllm(changed(settings, "model", answer_tokens=SOAK_ANSWER_TOKENS)) as with_model:
        return measure_soak(with_model, minutes, rate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description="The answer server under load.")
    parser.add_argument("--only", choices=("llm", "extractive", "soak"), help="one of the tables (default: all three)")
    parser.add_argument("--source", default=SOURCE, help="what is indexed and asked about (default: %(default)s)")
    parser.add_argument("--streams", type=int, nargs="+", default=STREAMS, help="llm: streams at once (default: 1 16 64)")
    parser.add_argument("--requests", type=int, default=64, help="llm: questions a turn (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=4, help="llm: turns, each direct and through the server (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, nargs="+", default=(1, 2), help="extractive: processes of the server (default: 1 2)"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="extractive: length of each load (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=10.0, help="soak: its length (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=10.0, help="soak: acts a second (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
