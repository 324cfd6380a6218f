"""Alerts on the model servers (vLLM's own metrics) and on the GPUs below them (DCGM's)."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.alert import Alert
from cluster.monitoring.recorded import down, in_namespace, unless_training

SCALED_TO_ZERO = "autoscale-probe"
"""The service that may have no pods, and yet is not down."""

MAIN = "code-assistant"
"""The one that steps aside for a training."""

HOT_CELSIUS = 85


def model_server_alerts(settings: Settings) -> list[Alert]:
    """Return the alerts on vLLM: none where none is deployed."""
    here = in_namespace(settings)
    expected = [name for name in settings.inference_services.deployed if name != SCALED_TO_ZERO]
    if not expected:
        return []
    return [
        Alert(
            "CodeAssistantModelServerDown",
            "warning",
            " or ".join(f"({down(settings, name)}{unless_training(settings) if name == MAIN else ''})" for name in expected),
            "10m",
            "No pod of the InferenceService {{ $labels.job }} answers",
            "Look at its pods' events: a GPU that is taken, weights that are missing, an image that is not there.",
        ),
        Alert(
            "CodeAssistantModelQueue",
            "warning",
            f"sum by (namespace, model_name) (vllm:num_requests_waiting{{{here}}})"
            f" > {settings.cluster.monitoring.waiting_requests}",
            "5m",
            "{{ $value }} requests wait for {{ $labels.model_name }}",
            "More replicas (inference_services.gpus), or fewer requests at once (rag.max_concurrent).",
        ),
        Alert(
            "CodeAssistantModelMemoryFull",
            "warning",
            f"max by (namespace, model_name) (vllm:kv_cache_usage_perc{{{here}}}) > 0.95",
            "10m",
            "The KV cache of {{ $labels.model_name }} is full: requests wait or are computed twice",
            "Lower model.context_tokens, or set serving.kv_cache_dtype to fp8; a second GPU helps too.",
        ),
        Alert(
            "CodeAssistantModelErrors",
            "warning",
            f'sum by (namespace, model_name) (increase(vllm:request_success_total{{{here},finished_reason="error"}}[15m])) > 0',
            "5m",
            "{{ $labels.model_name }} ends requests with an error",
            "Look into the log of the model server's pod.",
        ),
    ]


def gpu_alerts() -> list[Alert]:
    """Return the alerts on the GPUs, whose exporter names nodes and no namespace of ours."""
    return [
        Alert(
            "CodeAssistantGPUHot",
            "warning",
            f"max by (Hostname, gpu) (DCGM_FI_DEV_GPU_TEMP) > {HOT_CELSIUS}",
            "10m",
            "GPU {{ $labels.gpu }} of {{ $labels.Hostname }} is at {{ $value }} degrees, where it slows down",
            "Look at the machine's fans and at its neighbours' load; the card protects itself by a lower clock.",
        ),
        Alert(
            "CodeAssistantGPUIdle",
            "info",
            "max by (Hostname, gpu) (max_over_time(DCGM_FI_DEV_GPU_UTIL[6h])) < 5",
            "6h",
            "GPU {{ $labels.gpu }} of {{ $labels.Hostname }} has had nothing to do for half a day",
            "If nobody asks at night, that is how it is; otherwise see whether the model server runs on it.",
        ),
    ]
