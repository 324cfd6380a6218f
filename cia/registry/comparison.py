"""Two versions side by side: their scores on the same questions, and what else differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cia.errors import InputError

if TYPE_CHECKING:
    from cia.evaluation import EvaluationReport
    from cia.evaluation.bootstrap import Interval
    from cia.registry.registry import Registry

BASE = "base"
"""Stands for the base model where a version is expected."""

CONFIDENCE = 0.95

FACTS = {
    "questions": "data_hash",
    "index": "index_fingerprint",
    "judge": "judge",
}
"""What both must have been scored on, by the name of the report's field."""

TAGS = {
    "training data": "data_digest",
    "code": "code",
    "promoted by": "promoted_by",
    "promoted": "promoted_at",
    "why": "promoted_why",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the two: its name, its report, and what the registry says of it (nothing of the base model)."""

    name: str
    report: EvaluationReport
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """``differences`` are first minus second by metric with 95% intervals; none where the two were scored differently."""

    first: Compared
    second: Compared
    differences: Mapping[str, Interval]

    @property
    def scored_apart(self) -> list[str]:
        """In what the two evaluations differ, so that their scores cannot be compared: ``questions``, ``index``, ``judge``."""
        pairs = {name: (getattr(self.first.report, fact), getattr(self.second.report, fact)) for name, fact in FACTS.items()}
        return [name for name, (ours, theirs) in pairs.items() if ours != theirs]

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **{side: self._side_as_json(one) for side, one in (("first", self.first), ("second", self.second))},
            "scored_apart": self.scored_apart,
            "differences": {
                name: {"mean": change.mean, "low": change.low, "high": change.high} for name, change in self.differences.items()
            },
        }

    def to_markdown(self) -> str:
        """Return a page for people."""
        from cia.evaluation.report_markdown import markdown_table

        first, second = self.first, self.second
        lines = [f"# {first.name} against {second.name}", ""]
        if self.scored_apart:
            lines += [f"**Scored on different {' and '.join(self.scored_apart)}: the means cannot be compared.**", ""]
        means = [{**one.report.means, "words an answer": one.report.answer_words} for one in (first, second)]
        scores = [["metric", first.name, second.name, "difference [95% interval]"]]
        for name in dict.fromkeys([*means[0], *means[1]]):
            shown = [f"{mean[name]:.3f}" if name in mean else "" for mean in means]
            scores.append([name.replace("_", " "), *shown, str(self.differences.get(name, ""))])
        facts = [["", first.name, second.name]]
        facts += [
            [name, first.facts.get(name, ""), second.facts.get(name, "")] for name in dict.fromkeys([*first.facts, *second.facts])
        ]
        return "\n".join([*lines, markdown_table(scores), "", markdown_table(facts)]) + "\n"

    @staticmethod
    def _side_as_json(one: Compared) -> dict[str, Any]:
        facts = {name.replace(" ", "_"): fact for name, fact in one.facts.items()}
        return {"name": one.name, "questions": len(one.report.rows), "means": one.report.means, "facts": facts}


def compare_versions(registry: Registry, first: str, second: str) -> VersionComparison:
    """Return two versions compared; one of them may be ``base``, as the other one's evaluation scored the base model.

    Raises InputError when a version is unknown, was registered without its evaluation, or was not compared with its base.
    """
    from cia.evaluation.comparison import compare

    if first == second:
        raise InputError(f"{first} is compared with itself; name two versions, or a version and {BASE}")
    ours, theirs = (
        _of_base(registry, other) if name == BASE else _of_version(registry, name)
        for name, other in ((first, second), (second, first))
    )
    comparison = VersionComparison(ours, theirs, {})
    if comparison.scored_apart:
        return comparison
    return VersionComparison(ours, theirs, compare(ours.report, theirs.report, CONFIDENCE))


def _of_version(registry: Registry, version: str) -> Compared:
    adapter, report = registry.get(version), registry.evaluation(version).candidate
    facts = {"gate": adapter.gate, "registered": adapter.created, "base model": adapter.base_model}
    facts |= {name: adapter.tags[tag] for name, tag in TAGS.items() if adapter.tags.get(tag)}
    return Compared(adapter.served_name, report, facts | _origin(report))


def _of_base(registry: Registry, version: str) -> Compared:
    report = registry.evaluation(version).baseline
    adapter = registry.get(version)
    if report.name.startswith(f"{adapter.name}:") or report.name == "extractive":
        raise InputError(f"{adapter.served_name} was compared with {report.name}, not with the base model; name two versions")
    return Compared(report.name, report, {"base model": adapter.base_model} | _origin(report))


def _origin(report: EvaluationReport) -> dict[str, str]:
    return {name: str(getattr(report, fact))[:16] for name, fact in FACTS.items()}
