"""Compile the pipelines to the packages that Kubeflow Pipelines takes: the same bytes every time."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from kfp import compiler

from cia.durable_files import replace_text
from cia.settings import Settings
from pipelines.definitions import INDEX_PIPELINE_NAME, PIPELINE_NAME, define_code_assistant_pipeline, define_index_pipeline
from pipelines.placement import place_on_kubeflow

DEFINITIONS = {PIPELINE_NAME: define_code_assistant_pipeline, INDEX_PIPELINE_NAME: define_index_pipeline}


def compile_pipelines(settings: Settings, directory: Path) -> list[Path]:
    """Write ``<pipeline>.yaml`` for each pipeline into ``directory`` and return their paths."""
    return [compile_pipeline(settings, name, directory) for name in DEFINITIONS]


def compile_pipeline(settings: Settings, name: str, directory: Path) -> Path:
    """Write ``<name>.yaml`` into ``directory`` and return its path."""
    with tempfile.TemporaryDirectory() as staging:
        compiled = Path(staging) / f"{name}.yaml"
        compiler.Compiler().compile(DEFINITIONS[name](settings, place_on_kubeflow(settings)), str(compiled))
        target = directory / compiled.name
        replace_text(target, _in_stable_order(compiled.read_text(encoding="utf-8")))
    return target


def _in_stable_order(package: str) -> str:
    """Return the package with its keys sorted: kfp writes default values in an order that differs from process to process."""
    documents = yaml.load_all(package, Loader=yaml.CSafeLoader)
    return str(yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=True, width=120))
