"""The dashboards as ConfigMaps, which Grafana's sidecar picks up by their label."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.dashboards.answers import answers
from cluster.monitoring.dashboards.gpu import gpu
from cluster.monitoring.dashboards.model_server import model_server
from cluster.monitoring.dashboards.panel import Dashboard, as_json
from cluster.monitoring.dashboards.retrieval import retrieval
from cluster.part import Object
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.object_metadata import metadata

LABEL, FOLDER = "grafana_dashboard", "grafana_folder"
"""What the sidecar of Grafana's chart looks for, and where it puts a dashboard when it is told to read that annotation."""


def dashboards(settings: Settings) -> list[Dashboard]:
    """Return every dashboard."""
    return [answers(settings), model_server(settings), retrieval(settings), gpu()]


def dashboard_config_maps(settings: Settings) -> list[Object]:
    """Return a ConfigMap for each dashboard."""
    return [_config_map(settings, dashboard) for dashboard in dashboards(settings)]


def _config_map(settings: Settings, dashboard: Dashboard) -> Object:
    from kubernetes import client

    named = metadata(settings, f"dashboard-{dashboard.name}", annotations={FOLDER: "Code assistant"})
    named.labels[LABEL] = "1"
    data = {f"{dashboard.name}.json": as_json(settings, dashboard)}
    return as_kubernetes_reads_it(client.V1ConfigMap(api_version="v1", kind="ConfigMap", metadata=named, data=data))
