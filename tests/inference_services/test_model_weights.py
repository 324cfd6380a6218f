"""The volume with the models, the job that fills it, and KServe's cache in their stead."""

from __future__ import annotations

from typing import Any

from cia.settings import Settings, load_settings
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.model_weights import weights_objects, weights_path

LLAMA = "unsloth/Meta-Llama-3.1-8B-Instruct"


def cluster(**variables: str) -> Settings:
    return load_settings("cluster", {f"CIA_{name}": value for name, value in variables.items()})


def objects(**variables: str) -> list[dict[str, Any]]:
    return [as_kubernetes_reads_it(built) for built in weights_objects(cluster(**variables))]


def test_a_job_fetches_each_model_at_its_revision_and_no_model_twice() -> None:
    _, job = objects(
        INFERENCE_SERVICES__WEIGHTS__REVISIONS=f"{{{LLAMA}: abc123}}",
        SERVING__SPECULATION="draft",
        SERVING__DRAFT_MODEL="NovaSearch/stella_en_1.5B_v5",
    )
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "inference_services.fill_model_volume"]
    assert container["args"] == ["/mnt/models", "NovaSearch/stella_en_1.5B_v5@main", f"{LLAMA}@abc123"]


def test_the_job_fills_the_folder_that_the_server_reads() -> None:
    settings = cluster(INFERENCE_SERVICES__WEIGHTS__REVISIONS=f"{{{LLAMA}: abc123}}")
    assert weights_path(settings, LLAMA) == f"/mnt/models/{LLAMA}/abc123"


def test_another_model_or_image_is_another_job_since_a_job_cannot_be_changed() -> None:
    variables = ({}, {"SERVING__MODEL": "a/b"}, {"INFERENCE_SERVICES__WEIGHTS__IMAGE": "x:2"})
    names = [objects(**changed)[1]["metadata"]["name"] for changed in variables]
    assert len(set(names)) == 3
    assert names[0] == objects()[1]["metadata"]["name"]


def test_the_volume_can_be_read_by_many_pods() -> None:
    claim, job = objects(INFERENCE_SERVICES__WEIGHTS__STORAGE_CLASS="shared", INFERENCE_SERVICES__WEIGHTS__SIZE="80Gi")
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "shared",
        "resources": {"requests": {"storage": "80Gi"}},
    }
    volume, _ = job["spec"]["template"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_the_job_may_do_nothing_but_write_to_its_volume() -> None:
    pod = objects()[1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    written = next(variable["value"] for variable in container["env"] if variable["name"] == "HF_HOME")
    assert written.startswith(container["volumeMounts"][0]["mountPath"])


def test_kserves_cache_keeps_each_model_under_the_address_that_a_service_asks_for() -> None:
    caches = objects(INFERENCE_SERVICES__WEIGHTS__SOURCE="cache", INFERENCE_SERVICES__WEIGHTS__NODE_GROUP="big-nodes")
    assert {cache["kind"] for cache in caches} == {"LocalModelCache"}
    assert [cache["spec"]["sourceModelUri"] for cache in caches] == [
        "hf://NovaSearch/stella_en_1.5B_v5:main",
        f"hf://{LLAMA}:main",
    ]
    assert caches[1]["spec"]["nodeGroups"] == ["big-nodes"]
    assert caches[1]["metadata"]["name"] == "unsloth-meta-llama-3-1-8b-instruct-main"
