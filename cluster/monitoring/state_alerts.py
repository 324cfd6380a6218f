"""Alerts on what is kept: the index, its server, its snapshots, and the volumes."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.alert import Alert
from cluster.monitoring.recorded import in_namespace
from cluster.qdrant.objects import NAME as QDRANT
from cluster.qdrant.objects import SNAPSHOT

READING = ".*/points/(query|search|scroll|count).*|.*/points"
"""The routes that a search takes."""


def state_alerts(settings: Settings) -> list[Alert]:
    """Return the alerts on stored state. Volumes and schedules are known from the kubelets and from kube-state-metrics."""
    here = in_namespace(settings)
    bounds = settings.cluster.monitoring
    return [
        Alert(
            "CodeAssistantStaleIndex",
            "warning",
            f"time() - max by (namespace) (cia_index_oldest_timestamp_seconds{{{here}}} > 0)"
            f" > {bounds.stale_index_hours * 3600:g}",
            "15m",
            "A repository was last indexed {{ $value | humanizeDuration }} ago",
            "See whether the index schedule runs, and which repository fails there.",
        ),
        Alert(
            "CodeAssistantQdrantSlow",
            "warning",
            "histogram_quantile(0.95, sum by (namespace, le) (rate("
            f'rest_responses_duration_seconds_bucket{{{here},job="{QDRANT}",endpoint=~"{READING}"}}[5m]))) > 0.5',
            "15m",
            "One look-up in 20 takes Qdrant more than {{ $value | humanizeDuration }}",
            "Look at its memory and CPU: an index that outgrew its memory is read from the disk.",
        ),
        Alert(
            "CodeAssistantDiskFilling",
            "warning",
            _filling(here),
            "15m",
            "The volume {{ $labels.persistentvolumeclaim }} has {{ $value | humanizePercentage }} left",
            "Enlarge the claim where its storage class allows that, or remove what is not needed.",
        ),
        Alert(
            "CodeAssistantBackupOld",
            "critical",
            f'time() - max by (namespace, cronjob) (kube_cronjob_status_last_successful_time{{{here},cronjob="{SNAPSHOT}"}})'
            f" > {bounds.backup_hours * 3600:g}",
            "15m",
            "The last snapshot of the index is {{ $value | humanizeDuration }} old",
            f"Look at the last job of CronJob {SNAPSHOT} and its log.",
        ),
    ]


def _filling(here: str) -> str:
    """Less than a tenth is left, or less than a quarter that is gone in two days if it goes on as in the last six hours."""
    free = f"kubelet_volume_stats_available_bytes{{{here}}}"
    share = f"{free} / kubelet_volume_stats_capacity_bytes{{{here}}}"
    return f"{share} < 0.1 or ({share} < 0.25 and predict_linear({free}[6h], 2 * 86400) < 0)"
