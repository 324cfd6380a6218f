import itertools
import subprocess
import sys
from pathlib import Path

import yaml

from cia.settings import Settings
from pipelines import compile_pipelines


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


def test_the_package_holds_the_steps_in_their_order_and_no_secret(settings: Settings, tmp_path: Path) -> None:
    package = compile_pipelines(settings, tmp_path)[0]
    spec, platform = yaml.safe_load_all(package.read_text())
    tasks = spec["root"]["dag"]["tasks"]
    order = ["fetch-corpus", "index-code", "build-dataset", "fine-tune-llm", "evaluate-model", "register-model"]
    assert set(order) <= set(tasks)
    for before, after in itertools.pairwise(order):
        assert before in tasks[after]["dependentTasks"] or before == "index-code"
    gate = next(task for task in tasks.values() if "triggerPolicy" in task)
    assert "evaluate-model" in gate["triggerPolicy"]["condition"]
    steps = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert all(step["pvcMount"] for step in steps.values())
    assert all(
        set(env) <= {"secretKey", "envVar", "optional"}
        for step in steps.values()
        for use in step["secretAsEnv"]
        for env in use["keyToEnv"]
    )


def test_costly_steps_are_cached_and_steps_that_look_outside_are_not(settings: Settings, tmp_path: Path) -> None:
    spec = next(yaml.safe_load_all(compile_pipelines(settings, tmp_path)[0].read_text()))
    tasks = spec["root"]["dag"]["tasks"]
    cached = {name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert {"build-dataset", "fine-tune-llm", "evaluate-model"} <= cached
    assert not {"fetch-corpus", "index-code", "register-model"} & cached
