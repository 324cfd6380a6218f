"""Measure how adapters are served, and print Markdown tables: ``python -m benchmarks.serving``.

python -m benchmarks.serving                             # all five, some twenty minutes
python -m benchmarks.serving --only hand-over --streams 8
python -m benchmarks.serving --only many --promotions 10

vLLM and the answer server run as processes of their own on 127.0.0.1 with everything they keep in a temporary folder. The machine
should do nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.server.questions import docstring_questions
from benchmarks.server.reciting_model import recital_of
from benchmarks.server.running import changed, interpreter_of_vllm, reciting_base
from benchmarks.serving.death import measure_death
from benchmarks.serving.hand_over import measure_hand_over
from benchmarks.serving.many_promotions import measure_many_promotions
from benchmarks.serving.prefix_cache import measure_prefix_cache
from benchmarks.serving.speculation import measure_speculation
from benchmarks.serving.stack import serving_stack
from cia.answering import Assistant
from cia.errors import CiaError
from cia.retrieval import Indexer, Retriever
from cia.settings import Settings, load_settings
from inference_services.vllm_arguments import vllm_environment

SOURCE = "pypi:click==8.3.3"
QUESTIONS = 64
SHORT_ANSWER_TOKENS = 40
"""A hundred promotions wait for a hundred whole answers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Index, measure, print; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="serving-benchmark-") as folder:
            settings = load_settings(environment={"CIA_HOME": folder})
            if not interpreter_of_vllm(settings).exists():
                print(f"no vLLM at {interpreter_of_vllm(settings)}; `make setup` installs it", file=sys.stderr)
                return 1
            for name, (title, measure) in _tables(settings, options).items():
                if options.only in (None, name):
                    print(f"## {title}\n\n{measure()}\n", flush=True)
    except CiaError as error:
        print(f"benchmarks.serving: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _tables(settings: Settings, options: argparse.Namespace) -> dict[str, tuple[str, Callable[[], str]]]:
    return {
        "hand-over": (
            "Promotion and rollback while streams run",
            lambda: _hand_over(_home(settings, "hand-over", options), options.streams),
        ),
        "death": ("kill -9 of vLLM under load", lambda: _death(_home(settings, "death", options), options.seconds)),
        "many": ("Promotions in a row", lambda: _many(_home(settings, "many", options), options.promotions)),
        "speculation": (
            "Guessing from the prompt",
            lambda: _speculation(_home(settings, "speculation", options), options.rounds),
        ),
        "prefix": ("The prefix cache", lambda: _prefix_cache(_home(settings, "prefix", options))),
    }


def _hand_over(settings: Settings, streams: int) -> str:
    with serving_stack(settings, _questions(settings), versions=2, timeout_seconds=120.0) as stack:
        return measure_hand_over(stack, streams)


def _death(settings: Settings, seconds: float) -> str:
    with serving_stack(settings, _questions(settings), versions=1, timeout_seconds=settings.model.timeout_seconds) as stack:
        return measure_death(stack, seconds)


def _many(settings: Settings, count: int) -> str:
    short = changed(settings, "model", answer_tokens=SHORT_ANSWER_TOKENS)
    with serving_stack(short, _questions(settings), versions=count + 1, timeout_seconds=120.0) as stack:
        return measure_many_promotions(stack, count, Path(vllm_environment(short)["CODE_ASSISTANT_ADAPTER_CACHE"]))


def _speculation(settings: Settings, rounds: int) -> str:
    from transformers import AutoTokenizer

    model = reciting_base(settings)
    recital = recital_of(AutoTokenizer.from_pretrained(model), settings.model.answer_tokens)
    return measure_speculation(settings, model, recital, rounds)


def _prefix_cache(settings: Settings) -> str:
    return measure_prefix_cache(settings, reciting_base(settings))


def _home(settings: Settings, name: str, options: argparse.Namespace) -> Settings:
    """Return ``settings`` with a home of its own that holds the index: each table begins with an empty registry."""
    alone = settings.model_copy(update={"home": settings.home / name})
    alone.home.mkdir()
    Indexer(alone).index(options.source)
    return alone


def _questions(settings: Settings) -> list[str]:
    """Questions that the index is found to cover, so that each of them is put to the model."""
    retriever = Retriever(settings)
    try:
        assistant = Assistant(settings, retriever)
        asked = (question for question in docstring_questions(settings) if not assistant.ask(question).abstained)
        return [question for question, _ in zip(asked, range(QUESTIONS), strict=False)]
    finally:
        retriever.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description="How adapters are served.")
    tables = ("hand-over", "death", "many", "speculation", "prefix")
    parser.add_argument("--only", choices=tables, help="one of the tables (default: all)")
    parser.add_argument("--source", default=SOURCE, help="what is indexed (default: %(default)s)")
    parser.add_argument("--streams", type=int, default=32, help="users that ask at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=150.0, help="of load around the death (default: %(default)s)")
    parser.add_argument("--promotions", type=int, default=100, help="in a row (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of speculation, in turns (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
