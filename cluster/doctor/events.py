"""What the cluster last said about an object."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.doctor.reading import Reading
from cluster.part import Object


@dataclass(frozen=True, slots=True)
class Event:
    """A reason in one word, and a message on one line."""

    reason: str
    message: str


def last_event(reading: Reading, namespace: str, kind: str, name: str) -> Event | None:
    """Return the newest event about an object, None when there is none or it is forgotten (after an hour, as servers are set)."""
    path, asked = f"/api/v1/namespaces/{namespace}/events", f"involvedObject.kind={kind},involvedObject.name={name}"
    events = reading.items(path, fieldSelector=asked)
    if not events:
        return None
    newest = max(events, key=_when)
    return Event(str(newest.get("reason") or ""), " ".join(str(newest.get("message") or "").split()))


def _when(event: Object) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((str(time) for time in times if time), "")
