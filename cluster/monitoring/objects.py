"""Every object of the monitoring, in the order in which to apply them."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.alert_route import alert_route
from cluster.monitoring.dashboards.config_maps import dashboard_config_maps
from cluster.monitoring.gpu_exporter import gpu_exporter, gpu_exporter_monitor
from cluster.monitoring.rules import prometheus_rule
from cluster.monitoring.scraping import may_be_scraped, monitors
from cluster.part import Object


def cluster_objects(settings: Settings) -> list[Object]:
    """Return what ``cluster.monitoring`` asks for, as Kubernetes reads it. The same settings give the same bytes."""
    wanted = settings.cluster.monitoring
    objects: list[Object] = []
    if "scraping" in wanted.deployed:
        objects += [may_be_scraped(settings), *monitors(settings)]
    if wanted.gpu_exporter:
        objects += [gpu_exporter(settings)]
        objects += [gpu_exporter_monitor(settings)] if "scraping" in wanted.deployed else []
    if "rules" in wanted.deployed:
        objects.append(prometheus_rule(settings))
        objects += [alert_route(settings, wanted.alert_webhook)] if wanted.alert_webhook else []
    if "dashboards" in wanted.deployed:
        objects += dashboard_config_maps(settings)
    return objects
