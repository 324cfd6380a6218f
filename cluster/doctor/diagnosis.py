"""Runs the checks side by side, and makes a finding of whatever stops one."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING

from cia.errors import CiaError
from cia.settings import Settings
from cluster.doctor.addons import check_autoscaling, check_gateway, check_ingress, check_model_cache, check_runtime_classes
from cluster.doctor.applied import check_applied
from cluster.doctor.capacity import check_capacity
from cluster.doctor.controllers import check_controllers, check_webhooks
from cluster.doctor.examination import Check, Examination
from cluster.doctor.finding import Finding, broken, merged, skipped, warning
from cluster.doctor.gpu_budget import check_gpu_budget
from cluster.doctor.gpu_nodes import check_gpu_nodes
from cluster.doctor.images import check_images
from cluster.doctor.isolation import check_isolation
from cluster.doctor.kinds import check_fields, check_kinds
from cluster.doctor.monitoring import check_monitoring
from cluster.doctor.neighbours import check_addresses, check_neighbours
from cluster.doctor.openings import check_openings
from cluster.doctor.pauses import check_pauses
from cluster.doctor.pipelines import check_pipelines
from cluster.doctor.quotas import check_quotas
from cluster.doctor.reading import ForbiddenError, Reading
from cluster.doctor.rights import check_rights, untold
from cluster.doctor.secret import check_secret
from cluster.doctor.server import check_server
from cluster.doctor.storage import check_claims, check_classes
from cluster.part import Object
from cluster.platform import PARTS, platform
from cluster.platform import parts as selected_parts

if TYPE_CHECKING:
    from cluster.connection import Connection

CHECKS: tuple[tuple[str, Check], ...] = (
    ("kinds", check_kinds),
    ("kinds", check_fields),
    ("controllers", check_controllers),
    ("controllers", check_webhooks),
    ("rights", check_rights),
    ("quotas", check_quotas),
    ("storage", check_classes),
    ("storage", check_claims),
    ("nodes", check_capacity),
    ("GPU nodes", check_gpu_nodes),
    ("GPU budget", check_gpu_budget),
    ("GPU budget", check_pauses),
    ("secret", check_secret),
    ("images", check_images),
    ("isolation", check_isolation),
    ("isolation", check_openings),
    ("add-ons", check_autoscaling),
    ("add-ons", check_ingress),
    ("add-ons", check_gateway),
    ("add-ons", check_runtime_classes),
    ("add-ons", check_model_cache),
    ("pipelines", check_pipelines),
    ("monitoring", check_monitoring),
    ("applied", check_applied),
    ("neighbours", check_neighbours),
    ("neighbours", check_addresses),
)
"""Area and check, in the order of the table."""

SECONDS = 8.0
"""After which a check that is still under way is a finding."""


def diagnose(settings: Settings, connection: Connection, only: Collection[str] = ()) -> list[Finding]:
    """Return what was found about the parts named in ``only``, or about all of them, in ten seconds or so.

    Nothing is changed. A check that cannot run is a finding. Raises InputError for a part that there is not.
    """
    selected = {part.name for part in selected_parts(only)}
    parts, unusable = _rendered(settings, selected)
    others = [built for name, objects in parts.items() if name not in selected for built in objects]
    looked_at = {name: objects for name, objects in parts.items() if name in selected}
    examination = Examination(settings, connection, Reading(connection.api, seconds=SECONDS), looked_at, others)
    found = _run("server", check_server, examination)
    if any(finding.state == "broken" for finding in found):
        areas = dict.fromkeys(area for area, _ in CHECKS)
        return [*found, *unusable, *(skipped(area, "all of it", "not looked at: the server comes first") for area in areas)]
    running = [(area, _begun(area, check, examination)) for area, check in CHECKS]
    until = time.monotonic() + SECONDS
    return [*found, *unusable, *(finding for area, begun in running for finding in _ended(area, begun, until))]


def _begun(area: str, check: Check, examination: Examination) -> Future[list[Finding]]:
    """Start a check in a thread that nobody waits for when the process ends."""
    future: Future[list[Finding]] = Future()
    Thread(target=lambda: future.set_result(_run(area, check, examination)), name=check.__name__, daemon=True).start()
    return future


def _ended(area: str, begun: Future[list[Finding]], until: float) -> list[Finding]:
    try:
        return begun.result(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError:
        return [warning(area, "this check", f"took longer than {SECONDS:.0f} s", "look at the server's load, and run it again")]


def _rendered(settings: Settings, selected: Collection[str]) -> tuple[dict[str, list[Object]], list[Finding]]:
    """Return the objects of every part that the settings can make, and findings for the ``selected`` that they cannot."""
    parts: dict[str, list[Object]] = {}
    unusable: list[Finding] = []
    for part in PARTS:
        try:
            ((_, objects),) = platform(settings, [part.name])
            parts[part.name] = objects
        except CiaError as error:
            if part.name not in selected:
                continue
            said, _, fix = str(error).partition("; ")
            unusable.append(broken("settings", part.name, said, fix or "`cia cluster render` says it again once it is written"))
    return parts, unusable


def _run(area: str, check: Check, examination: Examination) -> list[Finding]:
    return merged(_found(area, check, examination))


def _found(area: str, check: Check, examination: Examination) -> Iterator[Finding]:
    try:
        yield from check(examination)
    except ForbiddenError as error:
        yield from untold(area, [error])
    except CiaError as error:
        yield warning(area, "this check", f"could not be made: {error}", "look at the server's load, and run it again")
    except Exception as error:  # an answer of another shape than the API's stops one check, never the table
        yield warning(
            area,
            "this check",
            f"could not be made: {type(error).__name__}: {error}",
            "report it, with `kubectl version`; the other lines hold",
        )
