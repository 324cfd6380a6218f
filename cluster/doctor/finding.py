"""One line of the doctor's table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["ok", "warning", "broken", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about ``subject``. Whatever is broken, or may be, comes with a fix: a command, or a setting to write."""

    area: str
    subject: str
    state: State
    said: str
    fix: str = ""


def ok(area: str, subject: str, said: str) -> Finding:
    """Return that ``subject`` is as it should be."""
    return Finding(area, subject, "ok", said)


def skipped(area: str, subject: str, said: str) -> Finding:
    """Return why ``subject`` was not looked at."""
    return Finding(area, subject, "skipped", said)


def warning(area: str, subject: str, said: str, fix: str) -> Finding:
    """Return that ``subject`` works less well than it could, or that nothing can be told about it."""
    return Finding(area, subject, "warning", said, fix)


def broken(area: str, subject: str, said: str, fix: str) -> Finding:
    """Return that the platform does not run as asked because of ``subject``."""
    return Finding(area, subject, "broken", said, fix)


ENOUGH_NAMED = 6


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for all that say the same of different subjects, where the first of them stood, with its fix."""
    same: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        same.setdefault((finding.area, finding.state, finding.said), []).append(finding)
    return [replace(group[0], subject=_together([one.subject for one in group])) for group in same.values()]


def _together(subjects: list[str]) -> str:
    different = list(dict.fromkeys(subjects))
    more = f" and {len(different) - ENOUGH_NAMED} more" if len(different) > ENOUGH_NAMED else ""
    return ", ".join(different[:ENOUGH_NAMED]) + more
