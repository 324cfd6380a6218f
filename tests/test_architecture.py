"""The arrows between the rooms, and what a light command may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "cia": set(),
    "rag_server": {"cia"},
    "runtimes": {"cia"},
    "inference_services": {"cia"},
    "components": {"runtimes", "inference_services", "cia"},
    "pipelines": {"components", "runtimes", "inference_services", "cia"},
    "cluster": {"runtimes", "inference_services", "cia"},
    "cli": {"pipelines", "components", "runtimes", "inference_services", "rag_server", "cluster", "cia"},
}
HEAVY = {"torch", "transformers", "kfp", "kserve", "kubernetes", "mlflow", "deepeval", "langfuse", "langchain", "scipy", "pandas"}


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names & set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_its_arrow_points_to(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): sorted(imported_rooms(path) - MAY_IMPORT[room] - {room}) for path in files}
    assert {path: rooms for path, rooms in wrong.items() if rooms} == {}


@pytest.mark.parametrize("module", ["cli.main", "cia.corpus", "cia.chunking", "cia.retrieval", "cia.answering"])
def test_starting_a_command_loads_no_heavy_library(module: str) -> None:
    script = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert not HEAVY & set(loaded)
