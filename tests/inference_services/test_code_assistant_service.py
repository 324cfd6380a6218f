"""The main model's InferenceService: one replica on each GPU, the laptop's arguments, a graceful end."""

from __future__ import annotations

from typing import Any

import pytest

from cia.errors import SettingsError
from cia.settings import Settings, load_settings
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.code_assistant import code_assistant_disruption_budget, code_assistant_service
from inference_services.vllm_arguments import VLLM_MODULE, vllm_arguments, vllm_environment
from inference_services.vllm_pod import as_in_a_pod


def cluster(**variables: str) -> Settings:
    return load_settings("cluster", {f"CIA_{name}": value for name, value in variables.items()})


def built(settings: Settings) -> dict[str, Any]:
    return as_kubernetes_reads_it(code_assistant_service(settings))


def predictor(**variables: str) -> dict[str, Any]:
    return built(cluster(**variables))["spec"]["predictor"]


def serving_container(**variables: str) -> dict[str, Any]:
    (container,) = predictor(**variables)["containers"]
    return container


def test_a_pod_starts_vllm_with_the_arguments_and_variables_of_the_laptop() -> None:
    settings, container = cluster(), serving_container()
    weights = "/mnt/models/unsloth/Meta-Llama-3.1-8B-Instruct/main"
    assert container["command"] == ["python3", "-m", VLLM_MODULE]
    assert container["args"] == vllm_arguments(settings, weights, host="0.0.0.0", port=8080, drain_seconds=120)
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert vllm_environment(as_in_a_pod(settings)).items() <= variables.items()
    assert variables["HF_HUB_OFFLINE"] == "1"


def test_a_replica_has_all_slices_of_a_time_sliced_gpu_under_the_plain_name() -> None:
    resources = serving_container()["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "5"
    assert predictor()["nodeSelector"] == {"nvidia.com/gpu.sharing-strategy": "time-slicing"}
    assert predictor()["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_a_pod_has_the_runtime_class_of_gpu_pods_where_the_cluster_needs_one() -> None:
    assert predictor(CLUSTER__GPU__RUNTIME_CLASS="nvidia")["runtimeClassName"] == "nvidia"
    assert "runtimeClassName" not in predictor()


def test_there_is_one_replica_for_each_gpu_and_an_update_needs_no_spare_one() -> None:
    fields = predictor(INFERENCE_SERVICES__GPUS="3")
    assert (fields["minReplicas"], fields["maxReplicas"]) == (3, 3)
    assert fields["deploymentStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    annotations = built(cluster())["metadata"]["annotations"]
    assert annotations["serving.kserve.io/deploymentMode"] == "Standard"
    assert annotations["serving.kserve.io/autoscalerClass"] == "none"


def test_a_pod_is_given_its_time_to_start_to_leave_and_to_finish() -> None:
    container = serving_container(
        INFERENCE_SERVICES__START_SECONDS="605", INFERENCE_SERVICES__LEAVE_SECONDS="7", INFERENCE_SERVICES__DRAIN_SECONDS="50"
    )
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 610
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert container["args"][container["args"].index("--shutdown-timeout") + 1] == "50"
    fields = predictor(INFERENCE_SERVICES__LEAVE_SECONDS="7", INFERENCE_SERVICES__DRAIN_SECONDS="50")
    assert fields["terminationGracePeriodSeconds"] == 7 + 50 + 30
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": 8080}


def test_a_container_may_do_nothing_but_serve() -> None:
    container = serving_container()
    assert container["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert predictor()["automountServiceAccountToken"] is False


def test_whatever_vllm_writes_goes_to_a_volume_of_bounded_size() -> None:
    volumes = {volume["name"]: volume for volume in predictor(SERVING__CACHED_GIB="20.5")["volumes"]}
    assert volumes["state"]["emptyDir"] == {"sizeLimit": "26Gi"}
    assert volumes["shared-memory"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    mounts = {mount["name"]: mount["mountPath"] for mount in serving_container()["volumeMounts"]}
    variables = {variable["name"]: variable.get("value", "") for variable in serving_container()["env"]}
    for name in ("HOME", "CODE_ASSISTANT_ADAPTER_CACHE", "VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR"):
        assert variables[name].startswith(mounts["state"])


def test_weights_are_read_from_the_shared_volume_and_not_written() -> None:
    volume = next(volume for volume in predictor()["volumes"] if volume["name"] == "models")
    assert volume["persistentVolumeClaim"] == {"claimName": "code-assistant-models", "readOnly": True}
    mount = next(mount for mount in serving_container()["volumeMounts"] if mount["name"] == "models")
    assert mount == {"name": "models", "mountPath": "/mnt/models", "readOnly": True}


def test_a_cached_model_is_found_by_its_address() -> None:
    container = serving_container(INFERENCE_SERVICES__WEIGHTS__SOURCE="cache")
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert variables["STORAGE_URI"] == "hf://unsloth/Meta-Llama-3.1-8B-Instruct:main"
    assert container["args"][:2] == ["--model", "/mnt/models"]
    assert "models" not in [mount["name"] for mount in container["volumeMounts"]]


def test_the_model_that_guesses_is_on_the_volume_too() -> None:
    args = serving_container(SERVING__SPECULATION="draft", SERVING__DRAFT_MODEL="org/draft")["args"]
    assert '"model": "/mnt/models/org/draft/main"' in args[args.index("--speculative-config") + 1]


def test_vllm_does_not_start_without_its_key() -> None:
    (key,) = [variable for variable in serving_container()["env"] if variable["name"] == "VLLM_API_KEY"]
    assert key["valueFrom"]["secretKeyRef"] == {"name": "code-assistant", "key": "model-api-key", "optional": False}


def test_a_drain_of_nodes_takes_one_replica_at_a_time() -> None:
    budget = as_kubernetes_reads_it(code_assistant_disruption_budget(cluster()))
    assert budget["spec"]["maxUnavailable"] == 1
    # The labels that KServe gives a predictor's pods.
    assert budget["spec"]["selector"]["matchLabels"] == {
        "serving.kserve.io/inferenceservice": "code-assistant",
        "component": "predictor",
    }


def test_a_model_over_several_gpus_takes_whole_ones() -> None:
    variables = {"SERVING__TENSOR_PARALLEL": "2", "TRAINING__GPU_SLICES": "1", "INFERENCE_SERVICES__GPUS": "4"}
    assert serving_container(**variables)["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert predictor(**variables)["maxReplicas"] == 2


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SERVING__TENSOR_PARALLEL": "2"}, r"slices of a GPU are not GPUs; set it to 1"),
        (
            {"SERVING__TENSOR_PARALLEL": "2", "TRAINING__GPU_SLICES": "1", "INFERENCE_SERVICES__GPUS": "3"},
            r"set it to a multiple of 2",
        ),
        ({"REGISTRY__TRACKING_URI": "null"}, r"registry\.tracking_uri is null"),
        ({"SERVING__MODEL": "/models/mine"}, r"serving\.model is '/models/mine'.*hub name"),
        ({"SERVING__SPECULATION": "draft"}, r"serving\.draft_model is None"),
        (
            {"SERVING__SPECULATION": "draft", "SERVING__DRAFT_MODEL": "a/b", "INFERENCE_SERVICES__WEIGHTS__SOURCE": "cache"},
            r"set inference_services\.weights\.source to claim",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_set(variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        code_assistant_service(cluster(**variables))


def test_the_assistant_asks_the_service_that_kserve_makes_for_it() -> None:
    # KServe puts <name>-predictor with port 80 in front of the container's first port.
    service = built(cluster())
    assert cluster().model.base_url == f"http://{service['metadata']['name']}-predictor/v1"
    assert service["spec"]["predictor"]["containers"][0]["ports"][0]["containerPort"] == 8080
