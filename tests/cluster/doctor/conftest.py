"""A cluster in which nothing is wrong, and a way to hear what one check says about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cia.settings import Settings, load_settings
from cluster.doctor.examination import Check, Examination
from cluster.doctor.finding import Finding
from cluster.doctor.reading import Reading
from cluster.part import Object
from tests.cluster.stand_in_cluster import StandInCluster, served

Ask = Callable[..., list[Finding]]


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings("cluster", environment={})


@pytest.fixture
def cluster() -> Iterator[StandInCluster]:
    stand_in = StandInCluster()
    stand_in.add("Namespace", "code-assistant")
    with served(stand_in):
        yield stand_in


@pytest.fixture
def ask(cluster: StandInCluster, settings: Settings) -> Ask:
    """Run a check over ``objects`` that would be applied; the settings may be others."""

    def asked(check: Check, *objects: Object, settings: Settings = settings, others: list[Object] | None = None) -> list[Finding]:
        connection = cluster.serve()
        examination = Examination(settings, connection, Reading(connection.api), {"part": list(objects)}, others or [])
        found = list(check(examination))
        assert all(bool(finding.fix) == (finding.state in ("warning", "broken")) for finding in found)
        return found

    return asked
