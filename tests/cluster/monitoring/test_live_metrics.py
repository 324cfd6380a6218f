"""Prometheus itself asks a running server, and what vLLM and Qdrant say; every query of ours gets an answer from it.

A misspelt metric or label is no error in PromQL: it is an empty graph, and an alert that never fires.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.retrieval import Indexer
from cia.settings import Settings, load_settings
from cluster.monitoring.dashboards.config_maps import dashboards
from cluster.monitoring.dashboards.panel import WINDOW
from cluster.monitoring.rules import alerts, prometheus_rule
from cluster.monitoring.scraping import monitors
from tests.cluster.monitoring.as_the_operator_does import rule_file, scrape_job
from tests.cluster.monitoring.programs import running_prometheus
from tests.cluster.monitoring.replayed import replayed
from tests.rag_server.running_server import AS_ADMIN, served, with_model
from tests.rag_server.stand_in_model import running_stand_in
from tests.rag_server.tiny_adapter import make_adapter, make_base

WICK = '''class Wick:
    """A cotton wick."""

    def trim(self, length: float) -> float:
        """Trim the wick by ``length`` millimetres and return what is left of it."""
        return max(0.0, self.length - length)
'''

OF_NOBODY_HERE = {
    "kubelet_volume_stats": "a kubelet reports its volumes",
    "kube_": "kube-state-metrics reports jobs",
    "DCGM_FI": "a GPU's exporter reports it",
    "cia_canaries_taken_back_total": "no trial has ended",
}

JOBS = 4

OF_A_WEEK = ("increase7d_before", "share_rise1d")
"""What looks a week back has nothing to see; the tests of the alerts let a week go by."""

DCGM_DEFAULTS = {
    *("DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_MEM_CLOCK", "DCGM_FI_DEV_MEMORY_TEMP", "DCGM_FI_DEV_GPU_TEMP"),
    *("DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_PCIE_REPLAY_COUNTER"),
    *("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_ENC_UTIL", "DCGM_FI_DEV_DEC_UTIL"),
    *("DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_USED"),
}
"""Of etc/default-counters.csv of NVIDIA's dcgm-exporter, those that it exports unless it is told otherwise."""


class Prometheus:
    """The running one, asked as Grafana asks."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str, **asked: str) -> Any:
        reply = self.client.get(f"/api/v1/{path}", params=asked).json()
        assert reply["status"] == "success", reply
        return reply["data"]

    def values(self, expression: str) -> list[float]:
        """The numbers that it answers now: NaN, a share of nothing, is none."""
        found = self.get("query", query=expression.replace(WINDOW, "30s"))["result"]
        return [value for one in found if not math.isnan(value := float(one["value"][1]))]

    def wait_for_looks(self, number: int) -> None:
        """Wait until every job was scraped so often, and the rules computed once more."""
        deadline = time.monotonic() + 60
        while min(self.values("count_over_time(up[5m])"), default=0) < number or len(self.values("up")) < JOBS:
            assert time.monotonic() < deadline, self.get("targets")
            time.sleep(0.2)
        time.sleep(1.5)


@pytest.fixture(scope="module")
def on_a_cluster() -> Settings:
    return load_settings("cluster", environment={})


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, on_a_cluster: Settings) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("monitoring")
    with contextlib.ExitStack() as running:
        model = running.enter_context(running_stand_in())
        model.usage = {"prompt_tokens": 400, "completion_tokens": 20, "total_tokens": 420}
        model.says = "A wick is trimmed by Wick.trim [1], as elsewhere [99]."
        server = running.enter_context(served(lantern(folder, model.base_url)))
        addresses = {"rag-server": server.removeprefix("http://")}
        addresses["qdrant"] = running.enter_context(replayed("qdrant-1.20.txt", key="the-key-of-qdrant"))
        for service in ("code-assistant", "embeddings"):
            addresses[service] = running.enter_context(replayed("vllm-0.32.0.txt"))
        scraped = {built["metadata"]["name"]: built for built in monitors(on_a_cluster)}
        jobs = [
            scrape_job(scraped.get(job, scraped["vllm"]), job, address, {"qdrant-api-key": "the-key-of-qdrant"})
            for job, address in addresses.items()
        ]
        rules = rule_file(prometheus_rule(on_a_cluster), folder / "rules.yml")
        often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration = {"global": often, "scrape_configs": jobs, "rule_files": [str(rules)]}
        client = running.enter_context(running_prometheus(folder, configuration))
        prometheus = Prometheus(client)
        wait_for_version_in_production(server)
        for looks in (2, 4):  # a counter that has just begun has not grown yet
            use(server)
            prometheus.wait_for_looks(looks)
        yield prometheus


def lantern(folder: Any, base_url: str) -> Settings:
    """A small repository, indexed, and a registry with a version in Production."""
    (folder / "lantern").mkdir()
    (folder / "lantern" / "wick.py").write_text(WICK)
    prices = {"CIA_TRACING__INPUT_PRICE": "3", "CIA_TRACING__OUTPUT_PRICE": "15"}
    settings = with_model(load_settings(environment={"CIA_HOME": str(folder / "home"), **prices}), base_url)
    Indexer(settings).index(str(folder / "lantern"))
    base = make_base(folder / "base")
    registry = Registry(settings)
    registry.register(make_adapter(folder / "adapter", base), {"faithfulness": 0.9}, Decision(True, "promoted"), base)
    registry.promote(1)
    return settings


def wait_for_version_in_production(server: str) -> None:
    deadline = time.monotonic() + 60
    while httpx.get(f"{server}/model/info", headers=AS_ADMIN).json()["adapter"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def use(server: str) -> None:
    """Ask, be declined, rate, search, and fail."""
    with httpx.Client(base_url=server, headers=AS_ADMIN, timeout=30) as client:
        answered = client.post("/v1/ask", json={"question": "How is a wick trimmed?"}).json()
        client.post("/v1/ask", json={"question": "How does the wick trim?", "stream": True})
        client.post("/v1/ask", json={"question": "Which planets have rings of quartz and helium?"})
        for rating in ("up", "down"):
            client.post("/v1/feedback", json={"trace_id": answered["trace_id"], "rating": rating})
        client.post("/v1/search", json={"query": "wick"})
        client.post("/v1/search", json={"query": ""})


def test_every_job_is_scraped_with_the_key_it_wants(prometheus: Prometheus) -> None:
    targets = prometheus.get("targets")["activeTargets"]
    assert {target["labels"]["job"]: target["lastError"] for target in targets} == dict.fromkeys(
        ("rag-server", "qdrant", "code-assistant", "embeddings"), ""
    )


def test_every_rule_is_computed_without_a_complaint(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}


def test_every_graph_of_every_dashboard_has_something_to_draw(prometheus: Prometheus, on_a_cluster: Settings) -> None:
    queries = [query.expression for dashboard in dashboards(on_a_cluster) for query in dashboard.queries]
    asked = [query for query in queries if not any(name in query for name in (*OF_NOBODY_HERE, *OF_A_WEEK))]
    assert len(asked) > len(queries) / 2
    assert [query for query in asked if not prometheus.values(query)] == []


def test_every_recorded_series_has_a_value(prometheus: Prometheus, on_a_cluster: Settings) -> None:
    groups = prometheus_rule(on_a_cluster)["spec"]["groups"]
    recorded = [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]
    expected = [name for name in recorded if not name.partition(":")[2].split(":")[-1].startswith(OF_A_WEEK)]
    assert [name for name in expected if not prometheus.values(name)] == []


def test_every_metric_that_an_alert_looks_at_exists(prometheus: Prometheus, on_a_cluster: Settings) -> None:
    known = set(prometheus.get("label/__name__/values"))
    looked_at = {name for alert in alerts(on_a_cluster) for name in re.findall(r"([a-zA-Z_:]+)\{", alert.expression)}
    assert {name for name in looked_at if not name.startswith(tuple(OF_NOBODY_HERE))} <= known


def test_a_server_that_is_well_raises_no_alarm(prometheus: Prometheus) -> None:
    alarmed = {alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"]}
    assert alarmed <= {"CodeAssistantDropsCitations", "CodeAssistantCostsMore", "CodeAssistantFallsBack"}


def test_metrics_of_gpus_are_those_that_nvidias_exporter_gives_by_default(on_a_cluster: Settings) -> None:
    expressions = [query.expression for dashboard in dashboards(on_a_cluster) for query in dashboard.queries]
    expressions += [alert.expression for alert in alerts(on_a_cluster)]
    used = {name for expression in expressions for name in re.findall(r"DCGM_\w+", expression)}
    assert used
    assert used <= DCGM_DEFAULTS
