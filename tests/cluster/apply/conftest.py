"""A stand-in for a cluster, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.apply.server import Server
from cluster.connection import connect
from tests.cluster.apply.applying_kubernetes import Cluster
from tests.cluster.apply.objects_of_ours import NAMESPACE
from tests.kubeconfig import use_kubeconfig


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster that holds our namespace and is the kubeconfig's current context."""
    stand_in = Cluster()
    stand_in.put("v1/namespaces", {"metadata": {"name": NAMESPACE}, "status": {"phase": "Active"}})
    use_kubeconfig(tmp_path, stand_in.url, monkeypatch)
    yield stand_in
    stand_in.close()


@pytest.fixture
def server(cluster: Cluster) -> Server:
    """The cluster as the engine asks it, without waiting between attempts."""
    return Server(connect(), pause=lambda _: None)
