"""NVIDIA's DCGM exporter on every GPU node, for clusters where the GPU operator does not run it.

It takes no slice of a GPU: the driver is shown to it by the container runtime. It reads what an unprivileged process may read;
counters of the profiler, which want CAP_SYS_ADMIN, are not among its defaults.
"""

from __future__ import annotations

from cia.cluster_settings import Compute
from cia.settings import Settings
from cluster.monitoring.custom_object import operator_object
from cluster.monitoring.scraping import GPU_EXPORTER, METRICS, endpoint
from cluster.part import Object
from cluster.pod import container, http_probe, literal, pod_template, selected
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.object_metadata import metadata
from inference_services.vllm_pod import GPU

PORT = 9400
USER = 1000


def gpu_exporter(settings: Settings) -> Object:
    """Return the DaemonSet."""
    from kubernetes import client

    exporter = container(
        settings,
        GPU_EXPORTER,
        settings.cluster.monitoring.gpu_exporter_image,
        compute=Compute(cpu="50m", cpu_limit="500m", memory="512Mi"),
        env=[
            literal("DCGM_EXPORTER_LISTEN", f":{PORT}"),
            literal("NVIDIA_VISIBLE_DEVICES", "all"),
            literal("NVIDIA_DRIVER_CAPABILITIES", "utility"),
        ],
        ports={METRICS: PORT},
        readiness=http_probe("/health", METRICS),
        liveness=http_probe("/health", METRICS, failures=6),
    )
    template = pod_template(GPU_EXPORTER, [exporter], user=USER)
    template.spec.node_selector = dict(settings.cluster.gpu.node_selector)
    template.spec.runtime_class_name = settings.cluster.gpu.runtime_class
    template.spec.tolerations = [client.V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")]
    return as_kubernetes_reads_it(
        client.V1DaemonSet(
            api_version="apps/v1",
            kind="DaemonSet",
            metadata=metadata(settings, GPU_EXPORTER),
            spec=client.V1DaemonSetSpec(selector=client.V1LabelSelector(match_labels=selected(GPU_EXPORTER)), template=template),
        )
    )


def gpu_exporter_monitor(settings: Settings) -> Object:
    """Return the monitor of those pods."""
    spec = {"selector": {"matchLabels": selected(GPU_EXPORTER)}, "podMetricsEndpoints": [endpoint(settings, METRICS, {})]}
    return operator_object(settings, "PodMonitor", GPU_EXPORTER, spec)
