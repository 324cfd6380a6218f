"""Draw the compiled pipeline as the picture in the README.

    python -m benchmarks.pipeline_picture            writes docs/pipeline.png

The boxes and arrows are read from the compiled package, not drawn by hand.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from cia.settings import load_settings
from pipelines import compile_pipelines

TARGET = Path(__file__).resolve().parent.parent / "docs" / "pipeline.png"
BOX_WIDTH, BOX_HEIGHT = 0.82, 0.42
INK, CACHED, FRESH = "#1c2430", "#dcebe2", "#eef1f5"


def main() -> None:
    """Compile, lay out by the longest path to each task, draw."""
    with tempfile.TemporaryDirectory() as folder:
        package = compile_pipelines(load_settings(), Path(folder))[0]
        spec: dict[str, Any] = next(yaml.safe_load_all(package.read_text(encoding="utf-8")))
    draw(_tasks(spec), TARGET)
    print(TARGET)


def _tasks(spec: dict[str, Any]) -> dict[str, tuple[list[str], bool]]:
    """Return the tasks with those they wait for and whether their results are cached.

    A loop or a condition stands for its one task; what reports on the run waits for the steps that nothing else waits for.
    """

    def inside(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = spec["components"][task["componentRef"]["name"]].get("dag", {}).get("tasks", {})
        return found

    root = spec["root"]["dag"]["tasks"]
    steps = next(inner for task in root.values() if (inner := inside(task)))
    shown = {name: next(iter(inside(task)), name) for name, task in steps.items()}
    tasks = {
        shown[name]: (
            sorted(shown[other] for other in task.get("dependentTasks", [])),
            bool(task.get("cachingOptions", {}).get("enableCache")),
        )
        for name, task in steps.items()
    }
    waited_for = {other for before, _ in tasks.values() for other in before}
    ends = sorted(set(tasks) - waited_for)
    return tasks | {name: (ends, False) for name, task in root.items() if not inside(task)}


def _depth(name: str, tasks: dict[str, tuple[list[str], bool]]) -> int:
    return 1 + max((_depth(other, tasks) for other in tasks[name][0]), default=-1)


def draw(tasks: dict[str, tuple[list[str], bool]], target: Path) -> None:
    """Write the picture: one column for each depth, green boxes for steps whose results are cached."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    depths = {name: _depth(name, tasks) for name in tasks}
    with matplotlib.rc_context({"font.family": "sans-serif", "font.size": 10}):
        figure = Figure(figsize=(1.75 * (max(depths.values()) + 1), 1.5), layout="constrained")
        axes = figure.subplots()
        for name, (before, cached) in tasks.items():
            column = depths[name]
            box = FancyBboxPatch(
                (column - BOX_WIDTH / 2, -BOX_HEIGHT / 2), BOX_WIDTH, BOX_HEIGHT,
                boxstyle="round,pad=0.02,rounding_size=0.06", facecolor=CACHED if cached else FRESH, edgecolor=INK,
            )  # fmt: skip
            axes.add_patch(box)
            axes.text(column, 0, name.replace("-", "_"), ha="center", va="center", color=INK)
            for other in before:
                far = column - depths[other] > 1
                start, end = (depths[other], BOX_HEIGHT / 2), (column, BOX_HEIGHT / 2)
                if not far:
                    start, end = (depths[other] + BOX_WIDTH / 2 + 0.02, 0), (column - BOX_WIDTH / 2 - 0.03, 0)
                curve = f"arc3,rad={-0.12 - 0.05 * (column - depths[other])}" if far else "arc3"
                arrow = {"arrowstyle": "-|>", "color": INK, "connectionstyle": curve, "linewidth": 0.8}
                axes.annotate("", xy=end, xytext=start, arrowprops=arrow)
        axes.set_xlim(-0.6, max(depths.values()) + 0.6)
        axes.set_ylim(-0.4, 1.15)
        axes.axis("off")
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
