"""Alertmanager itself takes our route, and posts our alerts, and only ours, to the address in the secret."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from cia.settings import load_settings
from cluster.monitoring.objects import cluster_objects
from tests.cluster.monitoring.as_the_operator_does import alertmanager_configuration
from tests.cluster.monitoring.programs import amtool, running_alertmanager

KEY = "alert-webhook"
Received = queue.Queue[dict[str, Any]]


@pytest.fixture
def webhook() -> Iterator[tuple[str, Received]]:
    """An address, and what was posted to it."""
    received: Received = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/alerts", received
    http.shutdown()
    http.server_close()


def routed_to(address: str) -> dict[str, Any]:
    settings = load_settings("cluster", environment={"CIA_CLUSTER__MONITORING__ALERT_WEBHOOK": KEY})
    (route,) = (built for built in cluster_objects(settings) if built["kind"] == "AlertmanagerConfig")
    return alertmanager_configuration(route, {KEY: address})


def fire(alertmanager: httpx.Client, name: str, **labels: str) -> None:
    ours = {"alertname": name, "namespace": "code-assistant", "part_of": "code-assistant", "severity": "warning"}
    alertmanager.post("/api/v2/alerts", json=[{"labels": ours | labels}]).raise_for_status()


def test_an_alert_of_ours_is_posted_to_the_address_in_the_secret_and_no_other(
    tmp_path: Path, webhook: tuple[str, Received]
) -> None:
    address, received = webhook
    configuration = routed_to(address)
    configuration["route"]["routes"][0]["group_wait"] = "0s"
    with running_alertmanager(tmp_path, configuration) as alertmanager:
        fire(alertmanager, "CodeAssistantErrors", namespace="another")
        fire(alertmanager, "KubePodCrashLooping", part_of="")
        fire(alertmanager, "CodeAssistantErrors", severity="critical")
        posted = received.get(timeout=10)
        assert [alert["labels"]["namespace"] for alert in posted["alerts"]] == ["code-assistant"]
        assert (posted["status"], posted["commonLabels"]["alertname"]) == ("firing", "CodeAssistantErrors")
        with pytest.raises(queue.Empty):
            received.get(timeout=0.5)


def test_while_the_server_is_down_what_follows_from_it_is_not_said(tmp_path: Path, webhook: tuple[str, Received]) -> None:
    with running_alertmanager(tmp_path, routed_to(webhook[0])) as alertmanager:
        fire(alertmanager, "CodeAssistantDown", severity="critical")
        fire(alertmanager, "CodeAssistantSlowAnswers")
        fire(alertmanager, "CodeAssistantErrors", severity="critical")
        found = alertmanager.get("/api/v2/alerts").json()
    quiet = {alert["labels"]["alertname"] for alert in found if alert["status"]["inhibitedBy"]}
    assert (len(found), quiet) == (3, {"CodeAssistantSlowAnswers"})


def test_alertmanager_takes_the_route(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(json.dumps(routed_to("http://example.com/alerts")))
    checked = amtool("check-config", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
