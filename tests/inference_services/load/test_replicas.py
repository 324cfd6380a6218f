"""Ready replicas are counted by Kubernetes' own client, here against an API server of a few lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cia.errors import UnavailableError
from inference_services.load.replicas import replica_counter
from tests.kubeconfig import use_kubeconfig


def pod(service: str, ready: str | None, deleted: str | None = None) -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", "status": "True"}, *([{"type": "Ready", "status": ready}] if ready else [])]
    metadata = {"labels": {"serving.kserve.io/inferenceservice": service}, "deletionTimestamp": deleted}
    return {"metadata": metadata, "status": {"conditions": conditions}, "spec": {"containers": []}}


class ApiServer(ThreadingHTTPServer):
    """Lists ``pods`` of the namespace ``models`` by their label."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pods: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        label, _, service = parse_qs(asked.query)["labelSelector"][0].partition("=")
        items = [one for one in self.server.pods if one["metadata"]["labels"].get(label) == service]
        found = asked.path == "/api/v1/namespaces/models/pods"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"kind": "PodList", "apiVersion": "v1", "items": items if found else []}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with ApiServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        use_kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}", monkeypatch)
        yield server
        server.shutdown()


def test_only_ready_pods_of_the_service_count(cluster: ApiServer) -> None:
    count = replica_counter("models", "autoscale-probe")
    assert count() == 0
    cluster.pods = [
        pod("autoscale-probe", "True"),
        pod("autoscale-probe", "True"),
        pod("autoscale-probe", "False"),
        pod("autoscale-probe", None),
        pod("autoscale-probe", "True", deleted="2026-01-01T00:00:00Z"),
        pod("code-assistant", "True"),
    ]
    assert count() == 2


def test_a_cluster_that_is_away_for_a_moment_is_not_known(cluster: ApiServer) -> None:
    assert replica_counter("elsewhere", "autoscale-probe")() is None


def test_no_cluster_at_all_is_said(cluster: ApiServer) -> None:
    with pytest.raises(UnavailableError, match="leave out --inference-service"):
        replica_counter("models", "autoscale-probe", context="nowhere")
