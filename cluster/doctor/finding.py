"""One line of the doctor's table."""

from __future__ import annotations

from dataclasses import dataclass
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
