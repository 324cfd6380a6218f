"""A whole apply: nothing is sent before the server has agreed to everything.

Kubernetes takes objects one by one, and half a platform is worse than none. So the server is asked about all of them first, and
every refusal is told at once. What can still fail after that is a race; what was applied then stays, and the next apply goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from cia.errors import OperationError
from cia.settings import Settings
from cluster.apply.planning import Plan, Refusal, plan
from cluster.apply.sending import Applied, send
from cluster.apply.server import Server
from cluster.platform import platform

if TYPE_CHECKING:
    from cluster.connection import Connection
    from cluster.secrets import SecretReport


class RefusedError(OperationError):
    """The server refuses some objects. ``refusals`` says which and why."""

    def __init__(self, message: str, refusals: list[Refusal]) -> None:
        super().__init__(message)
        self.refusals = refusals


def agreed(server: Server, settings: Settings, only: Collection[str] = (), *, force: bool = False) -> Plan:
    """Return the plan for the parts named in ``only``, or all. Raises RefusedError when the server refuses any object."""
    found = plan(server, platform(settings, only), force=force)
    if found.refusals:
        total = len(found.refusals) + len(found.changes)
        raise RefusedError(
            f"the cluster refuses {len(found.refusals)} of all {total} objects, so none was applied", found.refusals
        )
    return found


def apply(
    connection: Connection,
    server: Server,
    settings: Settings,
    only: Collection[str] = (),
    *,
    force: bool = False,
    show: Callable[[Applied], None] = lambda _: None,
) -> tuple[list[Applied], SecretReport]:
    """Apply the parts named in ``only``, or all, and return what became of every object and of the secret.

    A namespace that is not there is made first: objects in it cannot be asked about before. Raises CiaError.
    """
    from cluster.secrets import ensure_secret

    found = agreed(server, settings, only, force=force)
    applied: list[Applied] = []
    spaces = [change for change in found.changes if change.built["kind"] == "Namespace" and change.live is None]
    if spaces:
        applied = send(server, spaces, force=force, show=show)
        found = agreed(server, settings, only, force=force)
    made = {one.after["metadata"]["name"] for one in applied}
    report = ensure_secret(connection, settings)
    rest = [
        change for change in found.changes if change.built["kind"] != "Namespace" or change.built["metadata"]["name"] not in made
    ]
    return applied + send(server, rest, force=force, show=show), report
