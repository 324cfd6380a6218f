"""Prometheus itself takes the rules; each alert fires when it must, stays quiet when it must, and has its page in the runbook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from cia.settings import Settings, load_settings
from cluster.monitoring.alert import Alert
from cluster.monitoring.rules import alerts, prometheus_rule
from tests.cluster.monitoring.alert_cases import NAMESPACE, QUICK, SLOW, Case
from tests.cluster.monitoring.as_the_operator_does import rule_file
from tests.cluster.monitoring.programs import promtool

RUNBOOK = Path(__file__).resolve().parents[3] / "docs" / "monitoring.md"
TRIES = 8
"""Over more than three hours promtool 2.42 packs its data away meanwhile: busy, it misses one sample in five tries."""


@pytest.fixture(scope="module")
def on_a_cluster() -> Settings:
    return load_settings("cluster", environment={})


def test_prometheus_takes_every_rule(on_a_cluster: Settings, tmp_path: Path) -> None:
    checked = promtool("check", "rules", rule_file(prometheus_rule(on_a_cluster), tmp_path / "rules.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_of_minutes_fires_when_it_must_and_only_then(on_a_cluster: Settings, tmp_path: Path) -> None:
    checked = asked_of_promtool(on_a_cluster, tmp_path, QUICK, "1m")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("case", SLOW, ids=[case.alert for case in SLOW])
def test_each_alert_of_days_fires_when_it_must_and_only_then(on_a_cluster: Settings, tmp_path: Path, case: Case) -> None:
    for _ in range(TRIES):
        checked = asked_of_promtool(on_a_cluster, tmp_path, [case], "2h")
        if checked.returncode == 0:
            break
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_alert_is_left_out_of_the_tests(on_a_cluster: Settings) -> None:
    assert {case.alert for case in (*QUICK, *SLOW)} == {alert.name for alert in alerts(on_a_cluster)}
    assert all(case.quiet for case in (*QUICK, *SLOW))


def test_the_runbook_has_a_section_for_each_alert_and_for_no_other(on_a_cluster: Settings) -> None:
    sections = re.findall(r"^### (CodeAssistant\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(alert.name for alert in alerts(on_a_cluster))
    for alert in alerts(on_a_cluster):
        address = alert.as_rule()["annotations"]["runbook_url"]
        assert address == f"docs/monitoring.md#{alert.name.lower()}"


def test_where_no_model_is_served_no_model_server_is_missed() -> None:
    alone = load_settings("cluster", environment={"CIA_INFERENCE_SERVICES__DEPLOYED": "[]"})
    assert not [alert.name for alert in alerts(alone) if "ModelServer" in alert.name]


def test_every_expression_looks_at_its_own_installation_only() -> None:
    elsewhere = load_settings("cluster", environment={"CIA_CLUSTER__NAMESPACE": "elsewhere"})
    for rule in (rule for group in prometheus_rule(elsewhere)["spec"]["groups"] for rule in group["rules"]):
        selectors = re.findall(r"\b(?!DCGM)[a-zA-Z_:]+\{([^}]*)\}", rule["expr"])
        assert all('namespace="elsewhere"' in selector for selector in selectors), rule["expr"]


def asked_of_promtool(settings: Settings, folder: Path, cases: Sequence[Case], step: str) -> CompletedProcess[str]:
    """What promtool says of the cases, its data one ``step`` apart."""
    rules = rule_file(prometheus_rule(settings), folder / "rules.yml")
    named = {alert.name: alert for alert in alerts(settings)}
    document = {
        "rule_files": [rules.name],
        "evaluation_interval": step,
        "tests": [one for case in cases for one in as_promtool_reads(case, step, named[case.alert])],
    }
    (folder / "tests.yml").write_text(yaml.safe_dump(document))
    return promtool("test", "rules", folder / "tests.yml")


def as_promtool_reads(case: Case, step: str, alert: Alert) -> list[dict[str, Any]]:
    """The case as promtool reads it: a test for each of its series. An alert that fires has the labels that its words name."""
    named = "".join(f',{label}!=""' for label in re.findall(r"\$labels\.(\w+)", alert.summary))
    firing = {f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}': 1}
    wanted = [(case.fires, firing), (case.quiet, {}), (case.also_quiet, {})]
    return [
        {
            "interval": step,
            "input_series": [{"series": in_namespace(name), "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count by (alertname, alertstate) (ALERTS{{alertname="{case.alert}",alertstate="firing"{named}}})',
                    "eval_time": case.after,
                    "exp_samples": [
                        {"labels": labels.removeprefix("ALERTS"), "value": value} for labels, value in expected.items()
                    ],
                }
            ],
        }
        for series, expected in wanted
        if series
    ]


def in_namespace(series: str) -> str:
    name, _, labels = series.rstrip("}").partition("{")
    return f'{name}{{{labels and labels + ","}namespace="{NAMESPACE}"}}'
