"""The table that is printed, and the differences below it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.retrieval.measure import Measurement
from benchmarks.retrieval.metrics import METRICS
from cia.evaluation.bootstrap import Interval, paired_interval

TITLES = {
    "docstring": "docstring: the definition that a sentence describes",
    "history": "history: the files that a past commit changed, in the newest tree; tests: commits that changed only tests",
    "commit": "commit: the same, asked of a tree that no such change has reached yet",
    "annotated": "annotated: questions written by hand",
    "external": "annotations: questions from --annotations",
}


def render(measurements: Sequence[Measurement]) -> str:
    """Return one block for each kind: quality, cost, and the first system's paired difference from every other."""
    kinds = list(dict.fromkeys(measurement.kind for measurement in measurements))
    return "\n\n".join(_block([measurement for measurement in measurements if measurement.kind == kind]) for kind in kinds)


def differences(first: Measurement, other: Measurement) -> dict[str, Interval]:
    """Return the 95% interval of first minus other for each metric, paired by question."""
    return {
        metric: paired_interval(
            [mine[metric] - other.scores[name][metric] for name, mine in first.scores.items() if metric in mine]
        )
        for metric in metrics_of(first)
    }


def metrics_of(measurement: Measurement) -> list[str]:
    """Return the metrics that any question of a measurement has."""
    held = {metric for scores in measurement.scores.values() for metric in scores}
    return [metric for metric in METRICS[measurement.kind] if metric in held]


def _block(measurements: Sequence[Measurement]) -> str:
    kind, metrics = measurements[0].kind, metrics_of(measurements[0])
    rows = [["system", *metrics, "index s", "p50 ms", "p95 ms", "peak MB"], *(_row(each, metrics) for each in measurements)]
    lines = [f"{TITLES[kind]} ({len(measurements[0].scores)} questions)", *_align(rows)]
    if len(measurements) > 1:
        first = measurements[0]
        rows = [[f"{first.system} minus", *(f"{metric}, 95% interval" for metric in metrics)]]
        rows += [[other.system, *map(str, differences(first, other).values())] for other in measurements[1:]]
        lines += ["", *_align(rows)]
    return "\n".join(lines)


def _row(measurement: Measurement, metrics: Sequence[str]) -> list[str]:
    quality = [f"{measurement.mean(metric):.3f}" for metric in metrics]
    times = [f"{measurement.query_milliseconds(share):.1f}" for share in (0.5, 0.95)]
    return [measurement.system, *quality, f"{measurement.index_seconds:.1f}", *times, f"{measurement.peak_bytes / 1e6:.0f}"]


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
