"""The GPUs, as NVIDIA's DCGM exporter sees them. All of the cluster's: it names nodes, and no namespace of ours."""

from __future__ import annotations

from cluster.monitoring.dashboards.panel import Dashboard, Row, panel_by

LEGEND = "{{Hostname}} {{gpu}}"
BY = "max by (Hostname, gpu)"


def gpu() -> Dashboard:
    """Return the dashboard of the cluster's GPUs."""
    used, free = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
    return Dashboard(
        "gpu",
        "Code assistant: GPUs",
        "The GPUs, as NVIDIA's DCGM exporter sees them.",
        (
            Row(
                "Work",
                (
                    panel_by(
                        "In use",
                        "Share of the time in which anything was computed.",
                        "percent",
                        LEGEND,
                        f"{BY} (DCGM_FI_DEV_GPU_UTIL)",
                    ),
                    panel_by(
                        "Memory in use",
                        "vLLM takes its share when it starts, needed or not.",
                        "percentunit",
                        LEGEND,
                        f"{BY} ({used}) / ({BY} ({used}) + {BY} ({free}))",
                    ),
                    panel_by(
                        "Memory traffic",
                        "Share of the time in which memory was read or written.",
                        "percent",
                        LEGEND,
                        f"{BY} (DCGM_FI_DEV_MEM_COPY_UTIL)",
                    ),
                    panel_by(
                        "Clock",
                        "Falls when the card is too hot or draws too much.",
                        "hertz",
                        LEGEND,
                        f"{BY} (DCGM_FI_DEV_SM_CLOCK) * 1e6",
                    ),
                ),
            ),
            Row(
                "Health",
                (
                    panel_by("Temperature", "Above 85 degrees it slows down.", "celsius", LEGEND, f"{BY} (DCGM_FI_DEV_GPU_TEMP)"),
                    panel_by("Power", "What the card draws.", "watt", LEGEND, f"{BY} (DCGM_FI_DEV_POWER_USAGE)"),
                    panel_by(
                        "Last error",
                        "Number of the last XID: 0 is none; NVIDIA lists what each means.",
                        "short",
                        LEGEND,
                        f"{BY} (DCGM_FI_DEV_XID_ERRORS)",
                    ),
                ),
            ),
        ),
    )
