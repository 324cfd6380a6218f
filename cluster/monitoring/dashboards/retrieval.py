"""The search: how long it takes, how old the index is, and how Qdrant bears it."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.dashboards.panel import Dashboard, Row, panel, panel_by, quantile, rate
from cluster.monitoring.recorded import in_namespace
from cluster.qdrant.objects import NAME as QDRANT


def retrieval(settings: Settings) -> Dashboard:
    """Return the dashboard of the index and its server."""
    here = in_namespace(settings)
    return Dashboard(
        "retrieval",
        "Code assistant: retrieval",
        "The search: how long it takes, how old the index is, and how Qdrant bears it.",
        (_search(here), _qdrant(f'{here},job="{QDRANT}"'), _volumes(here)),
    )


def _search(here: str) -> Row:
    return Row(
        "Search",
        (
            panel(
                "Time to the sources",
                "As the RAG server measures it: embedding the question, Qdrant, ranking.",
                "s",
                half=quantile(0.5, "cia_retrieval_seconds", here),
                nineteen_in_20=quantile(0.95, "cia_retrieval_seconds", here),
            ),
            panel("Searches", "With and without an answer.", "reqps", searches=rate(f"cia_retrieval_seconds_count{{{here}}}")),
            panel(
                "Age of the index",
                "Since the repository that waits longest was indexed.",
                "s",
                oldest=f"time() - max (cia_index_oldest_timestamp_seconds{{{here}}} > 0)",
            ),
            panel("Repositories", "In the index.", "short", indexed=f"max (cia_index_repositories{{{here}}})"),
        ),
    )


def _qdrant(here: str) -> Row:
    return Row(
        "Qdrant",
        (
            panel_by(
                "Requests",
                "By route.",
                "reqps",
                "{{method}} {{endpoint}}",
                rate(f"rest_responses_total{{{here}}}", "method", "endpoint"),
            ),
            panel_by(
                "Time of a request",
                "19 in 20, by route.",
                "s",
                "{{endpoint}}",
                quantile(0.95, "rest_responses_duration_seconds", here, "endpoint"),
            ),
            panel_by(
                "Refused or failed",
                "By status, 4xx and 5xx.",
                "reqps",
                "{{status}}",
                rate(f'rest_responses_total{{{here},status=~"[45].."}}', "status"),
            ),
            panel_by("Vectors", "In all collections.", "short", "{{pod}}", f"max by (pod) (collections_vector_total{{{here}}})"),
            panel_by(
                "Memory",
                "Resident: what no longer fits is read from the disk.",
                "bytes",
                "{{pod}}",
                f"max by (pod) (memory_resident_bytes{{{here}}})",
            ),
        ),
    )


def _volumes(here: str) -> Row:
    free, capacity = (f"kubelet_volume_stats_{what}_bytes{{{here}}}" for what in ("available", "capacity"))
    return Row(
        "Volumes",
        (
            panel_by(
                "In use", "As the kubelets report it.", "percentunit", "{{persistentvolumeclaim}}", f"1 - {free} / {capacity}"
            ),
        ),
    )
