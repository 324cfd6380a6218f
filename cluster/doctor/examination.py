"""What every check of the doctor gets to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cia.settings import Settings
from cluster.doctor.finding import Finding
from cluster.doctor.reading import Reading
from cluster.doctor.workloads import Workload, workloads
from cluster.part import Object

if TYPE_CHECKING:
    from cluster.connection import Connection


@dataclass(frozen=True)
class Examination:
    """``parts`` are the selected parts' objects as they would be applied, ``reading`` is the cluster as it is.

    ``others`` are the objects of the parts that were not selected: a GPU is divided among all, and they name one another.
    """

    settings: Settings
    connection: Connection
    reading: Reading
    parts: Mapping[str, list[Object]]
    others: list[Object]

    @property
    def namespace(self) -> str:
        """Where all of ours lives."""
        return self.settings.cluster.namespace

    @cached_property
    def objects(self) -> list[Object]:
        """The objects of all selected parts."""
        return [built for objects in self.parts.values() for built in objects]

    @cached_property
    def workloads(self) -> list[Workload]:
        """What of them runs in pods."""
        return workloads(self.objects)

    def of_kind(self, *kinds: str) -> list[Object]:
        """Return the objects of these kinds."""
        return [built for built in self.objects if built["kind"] in kinds]


Check = Callable[[Examination], Iterator[Finding]]
"""Yields what it finds. What it raises is a finding too, after those that it yielded."""
