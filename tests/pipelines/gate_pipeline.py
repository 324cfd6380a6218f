"""The end of the pipeline alone: ``python gate_pipeline.py ROOT ADAPTER ADAPTER_METADATA_JSON SCORES PASSED``.

It has the same steps and the same condition as the real pipeline, fed with a verdict that already fell.
"""

import json
import sys

from kfp import dsl, local

from components.definition import component
from components.refresh_serving import refresh_serving
from components.register_model import register_model


@component
def verdict(passed: str, adapter_path: str, facts: str, scores_path: str, adapter: dsl.Output[dsl.Model],
            scores: dsl.Output[dsl.Artifact]) -> bool:  # fmt: skip
    """Hand on an adapter and the scores that a gate found."""
    import json
    import shutil

    shutil.copytree(adapter_path, adapter.path)
    shutil.copytree(scores_path, scores.path)
    adapter.metadata.update(json.loads(facts))
    return passed == "passed"


@dsl.pipeline(name="gate")
def gate(passed: str, adapter_path: str, facts: str, scores_path: str) -> None:
    """Register, and refresh what serves only after a pass."""
    fell = verdict(passed=passed, adapter_path=adapter_path, facts=facts, scores_path=scores_path)
    registered = register_model(adapter=fell.outputs["adapter"], scores=fell.outputs["scores"])
    with dsl.If(fell.outputs["Output"] == True, name="passed-the-gate"):  # noqa: E712
        refresh_serving(version=registered.outputs["Output"])


if __name__ == "__main__":
    root, adapter_path, facts, scores_path, passed = sys.argv[1:]
    json.loads(facts)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root, workspace_root=root)
    gate(passed=passed, adapter_path=adapter_path, facts=facts, scores_path=scores_path)
