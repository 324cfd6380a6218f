"""What an apply would do to every object, asked of the server itself: a server-side apply that is not kept.

The server defaults, converts and validates exactly as it would in earnest, so that nothing is compared by rules of our own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from cia.errors import CiaError, OperationError, UnavailableError
from cluster.apply.refusals import ConflictError, UnaskedError
from cluster.apply.server import Server
from cluster.part import NAMESPACE_LABEL, Object, Part

Outcome = Literal["created", "changed", "unchanged", "unknown"]

MADE_HERE = "code-assistant/made-namespace"
"""Annotation of a namespace that this engine made. Only such a one is ever deleted."""

SIDE_BY_SIDE = 8
"""Requests at a time."""

OF_THE_SERVER = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
"""Metadata that the server writes and that says nothing about the content."""


@dataclass(frozen=True, slots=True)
class Change:
    """``built`` is what is sent, ``live`` what is there, ``after`` what would be: None where the server cannot tell yet.

    ``conflict`` says who else holds what would change, where the plan was to look past that.
    """

    part: str
    built: Object
    live: Object | None
    after: Object | None
    conflict: ConflictError | None = None

    @property
    def outcome(self) -> Outcome:
        return "created" if self.live is None else "unknown" if self.after is None else compared(self.live, self.after)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An object that the server, or this engine, does not let be applied."""

    part: str
    built: Object
    error: CiaError


@dataclass(frozen=True, slots=True)
class Plan:
    """All objects, in the order in which to send them; those that would be refused are in ``refusals`` only."""

    changes: list[Change]
    refusals: list[Refusal]


def plan(
    server: Server, parts: Iterable[tuple[Part, list[Object]]], *, force: bool = False, past_conflicts: bool = False
) -> Plan:
    """Return what applying ``parts`` would do. Nothing on the server changes.

    ``force`` asks as if fields were taken over from other managers; ``past_conflicts`` only where there is a conflict, and notes
    it. Raises UnavailableError when the server stops answering.
    """
    asked = [(part.name, built) for part, objects in parts for built in objects]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        answers = list(pool.map(lambda one: _asked(server, one[0], one[1], force, past_conflicts), asked))
    return Plan(
        [answer for answer in answers if isinstance(answer, Change)],
        [answer for answer in answers if isinstance(answer, Refusal)],
    )


def compared(before: Object, after: Object) -> Literal["changed", "unchanged"]:
    """Return whether two states of an object differ in what people write: neither status nor bookkeeping."""
    return "unchanged" if content(before) == content(after) else "changed"


def content(live: Object) -> Object:
    """Return an object without its status and what the server notes about it."""
    kept = copy.deepcopy({key: value for key, value in live.items() if key != "status"})
    for key in OF_THE_SERVER:
        kept["metadata"].pop(key, None)
    return kept


def _asked(server: Server, part: str, built: Object, force: bool, past_conflicts: bool) -> Change | Refusal:
    try:
        live = server.live(built)
        built = _as_sent(server, built, live, force)
        try:
            return Change(part, built, live, server.apply(built, dry_run=True, force=force))
        except UnaskedError:
            return Change(part, built, live, None)
        except ConflictError as conflict:
            if not past_conflicts:
                raise
            return Change(part, built, live, server.apply(built, dry_run=True, force=True), conflict)
    except UnavailableError:
        raise
    except CiaError as error:
        return Refusal(part, built, error)


def _as_sent(server: Server, built: Object, live: Object | None, force: bool) -> Object:
    metadata = built["metadata"]
    if built["kind"] == "Namespace" and (live is None or MADE_HERE in (live["metadata"].get("annotations") or {})):
        annotations = {**metadata.get("annotations", {}), MADE_HERE: "true"}
        return {**built, "metadata": {**metadata, "annotations": annotations}}
    mine = metadata.get("labels", {}).get(NAMESPACE_LABEL)
    theirs = ((live or {}).get("metadata", {}).get("labels") or {}).get(NAMESPACE_LABEL, mine)
    if theirs != mine and not force and server.get("v1", "Namespace", theirs):
        raise OperationError(
            f"{built['kind']} {metadata['name']} belongs to the installation in the namespace {theirs}; have the settings of "
            "this one do without it or call it otherwise, or take it over with --force-conflicts"
        )
    return built
