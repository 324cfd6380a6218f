"""What offers GPUs in slices, labels the nodes that have them, and fetches what is trained on them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from kubernetes import client

from cia.settings import load_settings
from runtimes.cluster_objects import cluster_objects
from runtimes.gpu_sharing import FILE, PLUGIN, SHARING
from runtimes.label_gpu_node import label_when_sliced
from runtimes.training_runtime import GPU, HOME, code_assistant_qlora

SLICED = {"nvidia.com/gpu.sharing-strategy": "time-slicing"}


def objects(**variables: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What would be applied, by kind and name."""
    settings = load_settings("cluster", {f"CIA_{name}": value for name, value in variables.items()})
    return {(built["kind"], built["metadata"]["name"]): built for built in cluster_objects(settings)}


def sharing(**variables: str) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load(objects(**variables)["ConfigMap", SHARING]["data"][FILE])
    return configuration


class Nodes:
    """The two calls of the API that are made, on one node."""

    def __init__(self, gpus: str | None, labels: dict[str, str] | None = None) -> None:
        capacity = {"cpu": "8"} | ({GPU: gpus} if gpus is not None else {})
        self.node = client.V1Node(
            metadata=client.V1ObjectMeta(name="gpu-0", labels=labels), status=client.V1NodeStatus(capacity=capacity)
        )
        self.patches: list[dict[str, Any]] = []

    def read_node(self, _: str) -> client.V1Node:
        return self.node

    def patch_node(self, _: str, patch: dict[str, Any]) -> None:
        self.patches.append(patch)


def test_a_gpu_is_offered_as_so_many_slices_under_its_plain_name_and_all_of_them_to_one_pod() -> None:
    (resource,) = sharing()["sharing"]["timeSlicing"]["resources"]
    assert resource == {"name": "nvidia.com/gpu", "replicas": 5}
    assert sharing()["sharing"]["timeSlicing"]["renameByDefault"] is False
    assert sharing()["sharing"]["timeSlicing"]["failRequestsGreaterThanOne"] is False
    runtime = code_assistant_qlora(load_settings("cluster", {"CIA_TRAINING__GPU_SLICES": "3"})).to_dict()
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (worker,) = job["template"]["spec"]["template"]["spec"]["containers"]
    assert worker["resources"]["limits"][GPU] == "3"
    assert sharing(TRAINING__GPU_SLICES="3")["sharing"]["timeSlicing"]["resources"][0]["replicas"] == 3


def test_one_slice_is_a_gpu_that_is_not_shared() -> None:
    assert "sharing" not in sharing(TRAINING__GPU_SLICES="1")


def test_other_slices_are_another_pod_of_the_device_plugin() -> None:
    def digest(**variables: str) -> dict[str, str]:
        template = objects(**variables)["DaemonSet", PLUGIN]["spec"]["template"]
        annotations: dict[str, str] = template["metadata"]["annotations"]
        return annotations

    assert digest() == digest(CLUSTER__HOME_SIZE="7Gi")
    assert digest() != digest(TRAINING__GPU_SLICES="4")


def test_the_device_plugin_runs_where_gpus_are_and_finds_its_configuration() -> None:
    pod = objects()["DaemonSet", PLUGIN]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert [taint["key"] for taint in pod["tolerations"]] == [GPU]
    (container,) = pod["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    folder, _, file = variables["CONFIG_FILE"].rpartition("/")
    volume = next(volume for volume in pod["volumes"] if volume["name"] == mounts[folder])
    assert file in objects()["ConfigMap", volume["configMap"]["name"]]["data"]


def test_a_training_and_the_device_plugin_have_the_runtime_class_of_gpu_pods() -> None:
    built = objects(CLUSTER__GPU__RUNTIME_CLASS="nvidia")
    (job,) = built["ClusterTrainingRuntime", "code-assistant-qlora"]["spec"]["template"]["spec"]["replicatedJobs"]
    assert job["template"]["spec"]["template"]["spec"]["runtimeClassName"] == "nvidia"
    assert built["DaemonSet", PLUGIN]["spec"]["template"]["spec"]["runtimeClassName"] == "nvidia"


def test_where_the_gpu_operator_runs_it_is_given_the_configuration_alone() -> None:
    there = objects(
        CLUSTER__GPU__DEVICE_PLUGIN="false", CLUSTER__GPU__LABEL_NODES="false", CLUSTER__GPU__NAMESPACE="gpu-operator"
    )
    assert {kind for kind, _ in there} == {"ConfigMap", "Job", "ClusterTrainingRuntime"}
    assert there["ConfigMap", SHARING]["metadata"]["namespace"] == "gpu-operator"


@pytest.mark.parametrize(
    ("gpus", "labels", "labelled", "patched"),
    [
        ("10", None, True, True),
        ("5", {"zone": "a"}, True, True),
        ("5", SLICED, True, False),
        ("0", SLICED, True, False),  # its plugin is being replaced
        ("1", None, False, False),  # not sliced yet
        ("0", None, False, False),
        (None, None, False, False),
    ],
)
def test_a_node_is_labelled_once_its_gpus_are_sliced(
    gpus: str | None, labels: dict[str, str] | None, labelled: bool, patched: bool
) -> None:
    nodes = Nodes(gpus, labels)
    assert label_when_sliced(nodes, "gpu-0", 5, SLICED) == labelled
    assert nodes.patches == ([{"metadata": {"labels": SLICED}}] if patched else [])


def test_nodes_get_the_labels_that_trainings_select() -> None:
    (container,) = objects()["DaemonSet", "gpu-labels"]["spec"]["template"]["spec"]["containers"]
    runtime = code_assistant_qlora(load_settings("cluster", {})).to_dict()
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    selected = job["template"]["spec"]["template"]["spec"]["nodeSelector"]
    assert dict(pair.split("=") for pair in container["args"]) == selected


def test_the_base_model_of_trainings_is_fetched_to_where_they_look_for_it() -> None:
    (job,) = [built for (kind, _), built in objects().items() if kind == "Job"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][2] == "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit"
    runtime = code_assistant_qlora(load_settings("cluster", {})).to_dict()
    (trains,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (worker,) = trains["template"]["spec"]["template"]["spec"]["containers"]

    def cache(variables: list[dict[str, Any]]) -> str:
        return next(variable["value"] for variable in variables if variable["name"] == "HF_HOME")

    assert cache(container["env"]) == cache(worker["env"])
    assert HOME in [mount["mountPath"] for mount in container["volumeMounts"]]


@pytest.mark.parametrize("model", ["local", f"{HOME}/models/ours"])
def test_a_base_model_that_is_there_is_not_fetched(model: str) -> None:
    assert "Job" not in {kind for kind, _ in objects(TRAINING__BASE_MODEL=model)}


def test_another_base_model_is_another_job() -> None:
    names = {name for model in ("a/b", "a/c") for kind, name in objects(TRAINING__BASE_MODEL=model) if kind == "Job"}
    assert len(names) == 2
