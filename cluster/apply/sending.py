"""Applies what was planned, object after object."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cia.errors import OperationError
from cluster.apply.planning import Change, Outcome, compared
from cluster.apply.server import Server
from cluster.part import Object

NAMESPACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an object; ``after`` is what the server holds now."""

    part: str
    outcome: Outcome
    after: Object


def send(
    server: Server, changes: Iterable[Change], *, force: bool = False, show: Callable[[Applied], None] = lambda _: None
) -> list[Applied]:
    """Apply every object and return what became of each.

    A namespace is waited for, nothing else: controllers bring the rest together in whatever order it arrives. Raises CiaError at
    the first object that the server refuses after all; what was applied stays, and the same command goes on from there.
    """
    sent = []
    for change in changes:
        after = server.apply(change.built, force=force)
        if change.built["kind"] == "Namespace":
            _wait_for_namespace(server, change.built["metadata"]["name"])
        outcome: Outcome = "created" if change.live is None else compared(change.live, after)
        sent.append(Applied(change.part, outcome, after))
        show(sent[-1])
    return sent


def _wait_for_namespace(server: Server, name: str) -> None:
    deadline = time.monotonic() + NAMESPACE_SECONDS
    while True:
        phase = ((server.get("v1", "Namespace", name) or {}).get("status") or {}).get("phase")
        if phase == "Active":
            return
        if phase == "Terminating" or time.monotonic() > deadline:
            raise OperationError(f"the namespace {name} is {phase or 'not there'}; wait until it is gone, then apply again")
        time.sleep(0.2)
