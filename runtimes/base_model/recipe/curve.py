"""Draws how a model learnt: ``python -m runtimes.base_model.recipe.curve FOLDER... OUT.svg``, one run after another."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

RIGHT, ABSTAINED, LOSS = "#2a7f4f", "#b4541a", "#5b5b5b"


def draw(runs: Sequence[Path], out: Path) -> None:
    """Draw what the ``training.json`` of each of ``runs`` (folders) says, each starting where the one before it ended."""
    from matplotlib.figure import Figure

    facts = [json.loads((run / "training.json").read_text(encoding="utf-8")) for run in runs]
    starts = [0, *accumulate(fact["tokens"] for fact in facts)][:-1]
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    losses = axes.twinx()
    for fact, start in zip(facts, starts, strict=True):
        tokens = [(start + point["tokens"]) / 1e6 for point in fact["curve"]]
        axes.plot(tokens, [point["forced"] for point in fact["curve"]], color=RIGHT, marker=".", label="right card")
        axes.plot(tokens, [point["abstained"] for point in fact["curve"]], color=ABSTAINED, marker=".", label="right abstention")
        losses.plot(tokens, [point["choice"] for point in fact["curve"]], color=LOSS, linestyle=":", label="loss of the choice")
    for start in starts[1:]:
        axes.axvline(start / 1e6, color="#cccccc", linewidth=1)
    axes.set(xlabel="million tokens seen", ylabel="share, on repositories not learnt from", ylim=(0, 1))
    losses.set(ylabel="loss, nats", ylim=(0, None))
    lines = [*axes.get_lines()[:2], *losses.get_lines()[:1]]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="lower right", frameon=False)
    for side in (axes, losses):
        side.spines["top"].set_visible(False)
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    draw([Path(run) for run in sys.argv[1:-1]], Path(sys.argv[-1]))
