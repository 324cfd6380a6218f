"""The small model that is scaled by its load, by KEDA or by Knative."""

from __future__ import annotations

from typing import Any

import pytest

from cia.errors import SettingsError
from cia.settings import load_settings
from inference_services.autoscale_probe import autoscale_probe_service
from inference_services.cluster_objects import as_kubernetes_reads_it


def probe(**variables: str) -> dict[str, Any]:
    names = {f"CIA_INFERENCE_SERVICES__AUTOSCALE_PROBE__{name}": value for name, value in variables.items()}
    return as_kubernetes_reads_it(autoscale_probe_service(load_settings("cluster", names)))


def test_it_scales_from_one_slice_to_the_slices_of_one_gpu() -> None:
    for mode in ("Standard", "Knative"):
        predictor = probe(MODE=mode)["spec"]["predictor"]
        assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 5)
        assert predictor["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_keda_counts_the_requests_that_run_and_wait_in_vllm() -> None:
    service = probe(CONCURRENCY="12", SETTLE_SECONDS="90")
    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "keda"
    scaling = service["spec"]["predictor"]["autoScaling"]
    (metric,) = scaling["metrics"]
    query = metric["external"]["metric"]["query"]
    assert 'vllm:num_requests_running{model_name="autoscale-probe"}' in query
    assert 'vllm:num_requests_waiting{model_name="autoscale-probe"}' in query
    args = service["spec"]["predictor"]["containers"][0]["args"]
    assert args[args.index("--served-model-name") + 1] == "autoscale-probe"
    assert metric["external"]["target"] == {"type": "Value", "value": "12"}
    assert scaling["behavior"]["scaleDown"] == {"stabilizationWindowSeconds": 90}


def test_knative_counts_concurrent_requests() -> None:
    service = probe(MODE="Knative", CONCURRENCY="12", SETTLE_SECONDS="90", MINIMUM="0")
    predictor = service["spec"]["predictor"]
    assert service["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Knative"}
    assert (predictor["scaleMetric"], predictor["scaleTarget"], predictor["minReplicas"]) == ("concurrency", 12, 0)
    assert predictor["annotations"]["autoscaling.knative.dev/scale-down-delay"] == "90s"
    assert predictor["annotations"]["serving.knative.dev/progress-deadline"] == "960s"


def test_all_replicas_of_a_gpu_fit_into_its_memory() -> None:
    args = probe()["spec"]["predictor"]["containers"][0]["args"]
    share = float(args[args.index("--gpu-memory-utilization") + 1])
    assert share * 5 == pytest.approx(0.9)
    assert args[args.index("--kv-cache-memory-bytes") + 1] == str(2 * 1024**3)


def test_prometheus_finds_the_metrics_that_keda_asks_for() -> None:
    annotations = probe()["spec"]["predictor"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert (annotations["prometheus.io/port"], annotations["prometheus.io/path"]) == ("8080", "/metrics")


def test_it_serves_no_adapters_and_knows_no_registry() -> None:
    container = probe()["spec"]["predictor"]["containers"][0]
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert not [name for name in variables if name.startswith("CODE_ASSISTANT_") or "LORA" in name]
    assert variables["VLLM_PLUGINS"] == ""
    assert variables["HF_HUB_OFFLINE"] == "1"
    assert "--enable-lora" not in container["args"]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [({"MINIMUM": "0"}, r"never starts a replica.*set it to 1"), ({"MINIMUM": "6"}, r"more than the 5 slices")],
)
def test_a_minimum_that_cannot_work_is_refused(variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        probe(**variables)
