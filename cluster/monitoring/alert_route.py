"""Where alerts go, for an Alertmanager that the Prometheus Operator runs."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.custom_object import operator_object
from cluster.part import Object

NAME = "code-assistant"
RECEIVER = "webhook"


def alert_route(settings: Settings, webhook_key: str) -> Object:
    """Return the route of our alerts to the address under ``webhook_key`` in the platform's secret.

    The operator adds that the alert's namespace must be this one. While the server is down, what else it cannot do is not said.
    """
    here = ["namespace"]
    spec = {
        "route": {
            "receiver": RECEIVER,
            "matchers": [{"name": "part_of", "matchType": "=", "value": "code-assistant"}],
            "groupBy": ["alertname"],
            "groupWait": "30s",
            "groupInterval": "5m",
            "repeatInterval": "12h",
        },
        "receivers": [
            {
                "name": RECEIVER,
                "webhookConfigs": [{"urlSecret": {"name": settings.cluster.secret, "key": webhook_key}, "sendResolved": True}],
            }
        ],
        "inhibitRules": [
            {
                "sourceMatch": [{"name": "alertname", "matchType": "=", "value": "CodeAssistantDown"}],
                "targetMatch": [{"name": "severity", "matchType": "=~", "value": "warning|info"}],
                "equal": here,
            }
        ],
    }
    return operator_object(settings, "AlertmanagerConfig", NAME, spec, version="v1alpha1")
