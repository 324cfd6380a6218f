from __future__ import annotations

from typing import Any

import pytest

from cia.errors import InputError
from cia.settings import load_settings
from runtimes.training_runtime import GPU, HOME, code_assistant_qlora
from tests.published_schemas import refused_by


@pytest.fixture(scope="module")
def runtime() -> dict[str, Any]:
    return code_assistant_qlora(load_settings("cluster", {})).to_dict()


def pod(runtime: dict[str, Any]) -> dict[str, Any]:
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    return job["template"]["spec"]["template"]["spec"]


def test_the_sdk_reads_the_runtime_as_one_gpu_trainer(runtime: dict[str, Any]) -> None:
    from kubeflow.trainer.backends.kubernetes.utils import get_runtime_trainer
    from kubeflow_trainer_api import models

    parsed = models.TrainerV1alpha1ClusterTrainingRuntime.from_dict(runtime)
    trainer = get_runtime_trainer("torch", parsed.spec.template.spec.replicated_jobs, parsed.spec.ml_policy)
    assert trainer.device == "gpu"
    assert trainer.device_count == "5"
    assert trainer.num_nodes == 1
    assert trainer.image == "code-assistant-trainer:0.1.0"


def test_the_worker_takes_every_slice_of_a_time_sliced_gpu(runtime: dict[str, Any]) -> None:
    (worker,) = pod(runtime)["containers"]
    assert worker["name"] == "node"
    assert worker["resources"]["limits"][GPU] == worker["resources"]["requests"][GPU] == "5"
    assert pod(runtime)["nodeSelector"] == {"nvidia.com/gpu.sharing-strategy": "time-slicing"}


def test_what_a_training_keeps_lies_on_the_shared_volume_and_all_else_in_memory_or_scratch(runtime: dict[str, Any]) -> None:
    (worker,) = pod(runtime)["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in worker["volumeMounts"]}
    assert mounts == {HOME: "home", "/dev/shm": "shared-memory", "/tmp": "tmp"}
    volumes = {volume["name"]: volume for volume in pod(runtime)["volumes"]}
    assert volumes["home"]["persistentVolumeClaim"] == {"claimName": "code-assistant-home"}
    assert volumes["shared-memory"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    variables = {variable["name"]: variable.get("value") for variable in worker["env"]}
    assert variables["HF_HOME"].startswith(f"{HOME}/")


def test_an_evicted_training_is_tried_again_and_a_wrong_command_is_not(runtime: dict[str, Any]) -> None:
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    evicted, refused = job["template"]["spec"]["podFailurePolicy"]["rules"]
    assert evicted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert refused["action"] == "FailJob"
    assert refused["onExitCodes"]["values"] == [InputError("").exit_code]


def test_torchrun_is_left_to_count_the_devices_that_it_sees(runtime: dict[str, Any]) -> None:
    # A number of processes that the policy or the SDK took from the resources would be that of the slices.
    assert runtime["spec"]["mlPolicy"] == {"numNodes": 1, "torch": {}}


def test_the_labels_that_the_sdk_looks_for_are_there(runtime: dict[str, Any]) -> None:
    assert runtime["metadata"]["labels"]["trainer.kubeflow.org/framework"] == "torch"
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert job["template"]["metadata"]["labels"]["trainer.kubeflow.org/trainjob-ancestor-step"] == "trainer"


def test_the_runtime_fits_the_published_schema(runtime: dict[str, Any]) -> None:
    published = ("TRAINER_CRDS", "_clustertrainingruntimes.yaml")
    assert refused_by(*published, runtime) == []
    runtime["spec"]["mlPolicy"]["numNode"] = 1
    assert "numNode" in refused_by(*published, runtime)[0]
