"""How often the shipped base model picks the right one of five cards, on repositories that it never saw, beside BM25.

    python -m benchmarks.base_model                          # the shipped model
    python -m benchmarks.base_model --model ~/base/model     # another one that the recipe made

Questions are made from the code of five packages. Each has five cards, what answers it and what BM25 finds beside it, in an order
that says nothing; where the answer was taken away, it should abstain. BM25 reads all of the code, the model only the cards.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.server.figures import markdown
from cia.errors import CiaError
from cia.proportions import Share
from cia.settings import Settings, load_settings
from runtimes.base_model import shipped_base
from runtimes.base_model.recipe.packages import TEST
from runtimes.base_model.recipe.scoring import Scores, score, single_questions
from runtimes.processor import limit_threads
from runtimes.quiet import quiet_libraries

COLUMNS = ("", "BM25 right", "model right", "when it must choose", "abstains rightly")

EACH_SIDE = 0.975
"""Two one-sided limits of 97.5% enclose a 95% interval."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Score, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a folder that the recipe made (default: the shipped model)")
    parser.add_argument("--questions", type=int, default=200, help="of each package, at most")
    options = parser.parse_args(arguments)
    try:
        print(table(options.model or shipped_base(), load_settings(), options.questions))
    except CiaError as error:
        print(f"benchmarks.base_model: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def table(model: Path, settings: Settings, questions: int) -> str:
    """Return the scores of ``model`` on the test packages as Markdown, the last line over all of them."""
    scored = _loaded(model)
    found = {pinned: scored(single_questions(pinned, settings, questions)) for pinned in TEST}
    rows = [(name, *map(_written, _columns(scores))) for name, scores in found.items()]
    together = [_sum(column) for column in zip(*map(_columns, found.values()), strict=True)]
    return markdown(COLUMNS, [*rows, ("all", *map(_interval, together))])


def _loaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_libraries()
    limit_threads()
    return partial(score, AutoModelForCausalLM.from_pretrained(folder, dtype="float32"), AutoTokenizer.from_pretrained(folder))


def _columns(scores: Scores) -> tuple[Share, ...]:
    return scores.bm25, scores.answered, scores.forced, scores.abstained


def _sum(shares: Sequence[Share]) -> Share:
    return Share(sum(share.hits for share in shares), sum(share.count for share in shares))


def _written(share: Share) -> str:
    return f"{share.rate:.2f} of {share.count}"


def _interval(share: Share) -> str:
    low, high = share.limits(EACH_SIDE)
    return f"{share.rate:.3f} [{low:.3f}, {high:.3f}] of {share.count}"


if __name__ == "__main__":
    sys.exit(main())
