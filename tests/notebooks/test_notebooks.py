"""The notebooks run from a first cell to a last one that checks what their text says; and what is stored of them is clean."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest

from notebooks.execute import NOTEBOOKS, execute

INDEX_AND_ASK, SUBMIT_AND_COMPARE, PROMOTE = NOTEBOOKS
MACHINE = re.compile(r"(/tmp|/root|/home|/work|/Users|/var)/\w+| at 0x[0-9a-f]{6}|127\.0\.0\.1")
SECRET = re.compile(r"cia_[0-9a-f]{16}_|sk-\w{20}|(?i:password|api[_-]key)\s*[=:]\s*['\"]?\w")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all, as for a reader who goes from one to the next."""
    return tmp_path_factory.mktemp("notebooks") / "home"


def assert_quiet(notebook: nbformat.NotebookNode) -> None:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_a_reader_indexes_a_package_and_asks(home: Path) -> None:
    assert_quiet(execute(INDEX_AND_ASK, home))


@pytest.mark.slow
def test_a_reader_compares_two_runs_and_then_promotes_tries_and_rolls_back(home: Path) -> None:
    assert_quiet(execute(SUBMIT_AND_COMPARE, home))
    assert_quiet(execute(PROMOTE, home))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_names_no_machine_and_no_secret(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    shown = "\n".join(json.dumps(output.get("data", output)) for cell in cells for output in cell.get("outputs", []))
    without_pictures = re.sub(r'"image/png": "[^"]*"', "", shown)
    assert MACHINE.findall(without_pictures) == []
    assert SECRET.findall(without_pictures) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_one_run_from_top_to_bottom(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run `make notebooks`"
    assert_quiet(notebook)
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_cell_says_where_a_notebook_runs(path: Path) -> None:
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [number for number, source in enumerate(code) if '# or "cluster"' in source] == [0]
    assert "assert " in code[-1]
