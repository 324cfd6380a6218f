"""An alert: when it fires, and what is said to whoever is woken by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

RUNBOOK = "docs/monitoring.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """``expression`` is PromQL that gives something only while it is bad; ``lasting`` is for how long it must.

    ``critical`` is worth waking somebody, ``warning`` is for the day, ``info`` only good to know. ``action`` says what to do
    first; the section of the runbook that is called as the alert goes on from there.
    """

    name: str
    severity: Literal["critical", "warning", "info"]
    expression: str
    lasting: str
    summary: str
    action: str

    @property
    def anchor(self) -> str:
        """The section of the runbook."""
        return self.name.lower()

    def as_rule(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasting,
            "labels": {"severity": self.severity, "part_of": "code-assistant"},
            "annotations": {
                "summary": self.summary,
                "description": self.action,
                "runbook_url": f"{RUNBOOK}#{self.anchor}",
            },
        }
