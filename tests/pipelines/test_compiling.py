import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cia.settings import Settings, load_settings
from pipelines import compile_pipelines
from pipelines.compiling import compile_pipeline
from pipelines.definitions import INDEX_PIPELINE_NAME, PIPELINE_NAME


def test_two_processes_compile_to_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    here = compile_pipelines(settings, tmp_path / "here")
    script = (
        "import sys; from pathlib import Path; from cia.settings import load_settings; from pipelines import compile_pipelines\n"
        "compile_pipelines(load_settings(), Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], check=True, env={"PYTHONHASHSEED": "1"})
    assert [path.name for path in here] == ["code-assistant-pipeline.yaml", "index-pipeline.yaml"]
    for path in here:
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()


Package = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The whole pipeline as compiled: what runs, and what each step's pod is given."""
    package = compile_pipeline(load_settings(environment={}), PIPELINE_NAME, tmp_path_factory.mktemp("package"))
    spec, platform = yaml.load_all(package.read_text(), Loader=yaml.CSafeLoader)
    return spec, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def tasks(spec: dict[str, Any]) -> dict[str, Any]:
    """The tasks that are reported on when they end."""
    return spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]


def test_the_package_holds_the_steps_in_their_order_and_no_secret(package: Package) -> None:
    spec, pods = package
    steps = tasks(spec)
    order = ["fetch-corpus", "for-loop-2", "index-code", "build-dataset", "fine-tune-llm", "evaluate-model", "register-model"]
    for before, after in itertools.pairwise(order):
        assert before in steps[after]["dependentTasks"] or before == "index-code"
    gate = next(task for task in steps.values() if "triggerPolicy" in task)
    assert "evaluate-model" in gate["triggerPolicy"]["condition"]
    assert all(pod["pvcMount"] for pod in pods.values())
    keys = [env for pod in pods.values() for use in pod["secretAsEnv"] for env in use["keyToEnv"]]
    assert all(set(env) <= {"secretKey", "envVar", "optional"} for env in keys)


def test_each_repository_is_indexed_by_itself_and_all_become_visible_in_one_step(package: Package, settings: Settings) -> None:
    spec, _ = package
    loop = tasks(spec)["for-loop-2"]
    assert loop["iteratorPolicy"] == {"parallelismLimit": settings.pipeline.repositories_at_once}
    assert list(spec["components"]["comp-for-loop-2"]["dag"]["tasks"]) == ["prepare-index"]
    prepared = tasks(spec)["index-code"]["inputs"]["parameters"]["prepared"]["taskOutputParameter"]
    assert prepared["producerTask"] == "for-loop-2"


def test_every_end_is_reported(package: Package) -> None:
    spec, _ = package
    report = spec["root"]["dag"]["tasks"]["report-run"]
    assert report["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert report["dependentTasks"] == ["exit-handler-1"]


def test_costly_steps_are_cached_and_steps_that_look_outside_are_not(package: Package) -> None:
    spec, _ = package
    every = {name: task for part in spec["components"].values() for name, task in part.get("dag", {}).get("tasks", {}).items()}
    cached = {name for name, task in every.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert {"build-dataset", "fine-tune-llm", "evaluate-model"} <= cached
    assert not {"fetch-corpus", "prepare-index", "index-code", "register-model", "report-run"} & cached


def test_without_caching_every_step_is_done_anew(settings: Settings, tmp_path: Path) -> None:
    pipeline = settings.pipeline.model_copy(update={"caching": False})
    package = compile_pipeline(settings.model_copy(update={"pipeline": pipeline}), PIPELINE_NAME, tmp_path)
    assert "enableCache: true" not in package.read_text()


def test_a_pod_reads_the_settings_is_known_to_the_network_and_is_not_root(package: Package) -> None:
    spec, pods = package
    for name, pod in pods.items():
        step = name.removeprefix("exec-")
        assert pod["configMapAsVolume"][0] | {"configMapNameParameter": ""} == {
            "configMapName": "code-assistant-params",
            "configMapNameParameter": "",
            "mountPath": "/etc/code-assistant",
            "optional": False,
        }
        labels = {"app.kubernetes.io/name": step, "app.kubernetes.io/part-of": "code-assistant"}
        outside = {"code-assistant/reaches": "outside"} if step == "fetch-corpus" else {}
        assert pod["podMetadata"]["labels"] == labels | outside
        assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": "1000", "runAsGroup": "1000"}
        container = spec["deploymentSpec"]["executors"][name]["container"]
        assert {"name": "CIA_PARAMS", "value": "/etc/code-assistant/params.yaml"} in container["env"]
        assert container["resources"]["resourceMemoryRequest"] == container["resources"]["resourceMemoryLimit"]
        assert int(pod["activeDeadlineSeconds"]) > 0


def test_only_the_step_that_scores_a_model_has_a_gpu(package: Package) -> None:
    spec, pods = package
    executors = spec["deploymentSpec"]["executors"]
    with_gpu = {name for name, executor in executors.items() if "accelerator" in executor["container"]["resources"]}
    assert with_gpu == {"exec-evaluate-model"}
    assert pods["exec-evaluate-model"]["nodeSelector"] == {"labels": {"nvidia.com/gpu.sharing-strategy": "time-slicing"}}
    assert pods["exec-evaluate-model"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "nodeSelector" not in pods["exec-fine-tune-llm"]


def test_images_come_from_the_mirror_that_the_settings_name(settings: Settings, tmp_path: Path) -> None:
    cluster = settings.cluster.model_copy(update={"image_registry": "mirror.internal/ai"})
    package = compile_pipeline(settings.model_copy(update={"cluster": cluster}), INDEX_PIPELINE_NAME, tmp_path)
    spec = next(yaml.safe_load_all(package.read_text()))
    images = {each["container"]["image"] for each in spec["deploymentSpec"]["executors"].values()}
    assert images == {"mirror.internal/ai/code-assistant-pipeline:0.1.0"}


def test_only_the_step_that_fetches_gets_the_password_of_the_git_server(settings: Settings, tmp_path: Path) -> None:
    cluster = settings.cluster.model_copy(update={"git_server": "https://git.example.com"})
    compiled = compile_pipelines(settings.model_copy(update={"cluster": cluster}), tmp_path)[0].read_text()
    spec, platform = yaml.safe_load_all(compiled)
    told = {
        name
        for name, executor in spec["deploymentSpec"]["executors"].items()
        if any(variable["name"] == "GIT_CONFIG_KEY_0" for variable in executor["container"]["env"])
    }
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    given = {
        name
        for name, pod in pods.items()
        for use in pod["secretAsEnv"]
        for key in use["keyToEnv"]
        if key["envVar"] == "GIT_PASSWORD"
    }
    assert told == given == {"exec-fetch-corpus"}
