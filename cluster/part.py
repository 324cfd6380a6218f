"""A part of the platform: what is applied, looked at and deleted together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cia.settings import Settings

Object = dict[str, Any]
"""A Kubernetes object as plain values, as the API takes it."""

PART_LABEL = "code-assistant/part"
"""On every object: the part that it belongs to. With `managed-by` it says what may be pruned and deleted."""

NAMESPACE_LABEL = "code-assistant/namespace"
"""On what lies outside the installation's namespace: which installation it belongs to. A cluster may have two."""


@dataclass(frozen=True, slots=True)
class Part:
    """``objects`` returns the part's objects in the order in which to apply them; same settings, same bytes."""

    name: str
    summary: str
    objects: Callable[[Settings], list[Object]]
