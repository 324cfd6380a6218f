"""What the Prometheus Operator makes of its objects, as far as they use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cluster.part import Object


def rule_file(rule: Object, path: Path) -> Path:
    """Write the rules of a PrometheusRule, which Prometheus here evaluates as often as it is told, not in their own intervals."""
    groups = [{key: value for key, value in group.items() if key != "interval"} for group in rule["spec"]["groups"]]
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def scrape_job(monitor: Object, job: str, address: str, secrets: dict[str, str]) -> dict[str, Any]:
    """How Prometheus asks one pod behind a ServiceMonitor or PodMonitor, with the labels that the operator has it add."""
    spec, named = monitor["spec"], monitor["metadata"]
    (asked,) = spec.get("endpoints") or spec["podMetricsEndpoints"]
    labels = {"namespace": named["namespace"], "pod": f"{job}-0", "job": job}
    scraped = {"job_name": job, "metrics_path": asked["path"], "static_configs": [{"targets": [address], "labels": labels}]}
    if authorization := asked.get("authorization"):
        credentials = secrets[authorization["credentials"]["key"]]
        scraped["authorization"] = {"type": authorization["type"], "credentials": credentials}
    return scraped


def alertmanager_configuration(route: Object, secrets: dict[str, str]) -> dict[str, Any]:
    """Alertmanager's file with the route of an AlertmanagerConfig below a root that sends nothing.

    The operator adds the object's namespace to every condition (OnNamespace, its default).
    """
    spec, ours = route["spec"], f'namespace="{route["metadata"]["namespace"]}"'
    return {
        "route": {"receiver": "nobody", "routes": [_route(spec["route"], ours)]},
        "receivers": [{"name": "nobody"}, *(_receiver(receiver, secrets) for receiver in spec["receivers"])],
        "inhibit_rules": [
            {
                "source_matchers": [ours, *map(_matcher, rule["sourceMatch"])],
                "target_matchers": [ours, *map(_matcher, rule["targetMatch"])],
                "equal": rule["equal"],
            }
            for rule in spec["inhibitRules"]
        ],
    }


def _route(route: dict[str, Any], ours: str) -> dict[str, Any]:
    return {
        "receiver": route["receiver"],
        "matchers": [ours, *map(_matcher, route["matchers"])],
        "group_by": route["groupBy"],
        "group_wait": route["groupWait"],
        "group_interval": route["groupInterval"],
        "repeat_interval": route["repeatInterval"],
    }


def _receiver(receiver: dict[str, Any], secrets: dict[str, str]) -> dict[str, Any]:
    hooks = [
        {"url": secrets[hook["urlSecret"]["key"]], "send_resolved": hook["sendResolved"]} for hook in receiver["webhookConfigs"]
    ]
    return {"name": receiver["name"], "webhook_configs": hooks}


def _matcher(matcher: dict[str, str]) -> str:
    return f'{matcher["name"]}{matcher["matchType"]}"{matcher["value"]}"'
