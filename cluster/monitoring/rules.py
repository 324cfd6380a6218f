"""What Prometheus computes in advance, and what it alerts on."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.alert import Alert
from cluster.monitoring.answer_alerts import answer_alerts
from cluster.monitoring.custom_object import operator_object
from cluster.monitoring.model_server_alerts import gpu_alerts, model_server_alerts
from cluster.monitoring.recorded import recorded_days, recorded_minutes
from cluster.monitoring.state_alerts import state_alerts
from cluster.part import Object

NAME = "code-assistant"


def alerts(settings: Settings) -> list[Alert]:
    """Return every alert."""
    return [*answer_alerts(settings), *model_server_alerts(settings), *gpu_alerts(), *state_alerts(settings)]


def prometheus_rule(settings: Settings) -> Object:
    """Return the recording rules and the alerts, which all look at this namespace only."""
    groups = [
        {"name": "code-assistant-minutes", "interval": "30s", "rules": recorded_minutes(settings)},
        {"name": "code-assistant-days", "interval": "5m", "rules": recorded_days(settings)},
        {"name": "code-assistant-alerts", "interval": "30s", "rules": [alert.as_rule() for alert in alerts(settings)]},
    ]
    return operator_object(settings, "PrometheusRule", NAME, {"groups": groups})
