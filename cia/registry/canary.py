"""A version on trial: which one, for which share of the users, and how such a trial ended.

The state is in MLflow, as that of Production is: the alias ``Canary`` names the version, tags on it say the rest. Ended, the
alias goes and the tags stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

CANARY_ALIAS = "Canary"
LARGEST_PERCENT = 50.0
"""Beyond half of the users it would be Production that is on trial."""

Outcome = Literal["finished", "aborted", "taken back"]
OUTCOME_TAG = "canary_outcome"


@dataclass(frozen=True, slots=True)
class Canary:
    """The version on trial, the share of users that it answers, since when (ISO 8601, UTC), and who began it."""

    version: int
    served_name: str
    percent: float
    begun: str
    by: str

    @property
    def trial(self) -> str:
        """What tells this trial from an earlier one of the same version."""
        return f"{self.version} {self.begun}"

    def answers(self, user: str) -> bool:
        """Whether ``user`` is in its share: the same answer as long as the percent stays, and a larger one only adds users.

        Another version has other users. Nobody in particular ("") is never among them.
        """
        digest = hashlib.sha256(f"{self.version}:{user}".encode()).digest()
        return bool(user) and int.from_bytes(digest[:8]) < self.percent / 100 * 2**64


def tags_at_start(percent: float, by: str, why: str, begun: str | None) -> dict[str, str]:
    """Return what is written on the version; ``begun`` is that of a trial which goes on with another percent."""
    return {
        "canary_percent": f"{percent:g}",
        "canary_begun": begun or datetime.now(UTC).isoformat(timespec="milliseconds"),
        "canary_by": by,
        "canary_why": why,
        OUTCOME_TAG: "",
    }


def tags_at_end(outcome: Outcome, by: str, why: str) -> dict[str, str]:
    """Return what is written on the version when its trial is over."""
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    return {OUTCOME_TAG: outcome, "canary_ended": ended, "canary_ended_by": by, "canary_ended_why": why}


def from_tags(served_name: str, version: int, tags: Mapping[str, str]) -> Canary | None:
    """Return what the tags say, or None where somebody set the alias alone: then no share is known."""
    try:
        percent = float(tags["canary_percent"])
    except (KeyError, ValueError):
        return None
    if not 0 < percent <= LARGEST_PERCENT:
        return None
    return Canary(version, served_name, percent, tags.get("canary_begun", ""), tags.get("canary_by", ""))
