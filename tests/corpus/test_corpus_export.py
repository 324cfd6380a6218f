"""The corpus stage of ``dvc.yaml``: the same sources give the same bytes, in any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cia.corpus.export import export, main
from cia.errors import SourceError

PROJECT = Path(__file__).resolve().parents[2]
BINARIES = Path(sys.executable).parent


def test_a_manifest_names_every_file_and_nothing_of_this_machine(settings, index, tmp_path):
    index.publish("tool", "1.0", {"tool-1.0/run.py": b"run = 1\n", "tool-1.0/logo.png": b"x"})
    settings = settings.model_copy(update={"corpus": settings.corpus.model_copy(update={"sources": ["pypi:tool==1.0"]})})

    (snapshot,) = export(settings, tmp_path / "data" / "corpus")

    text = (tmp_path / "data" / "corpus" / "tool.json").read_text()
    document = json.loads(text)
    assert document["commit"] == snapshot.commit
    assert document["files"] == [{"path": "run.py", "sha256": snapshot.files[0].blob, "size": 8}]
    assert document["skipped"] == {"binary": 1}
    assert str(tmp_path) not in text


def test_a_source_that_fails_keeps_the_folder_as_it_was(settings, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old.json").write_text("{}")
    settings = settings.model_copy(update={"corpus": settings.corpus.model_copy(update={"sources": [str(tmp_path / "absent")]})})

    with pytest.raises(SourceError):
        export(settings, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["old.json"]


def test_the_command_says_what_it_wants(capsys):
    assert main([]) == 2
    assert "error: name one folder" in capsys.readouterr().err


@pytest.mark.slow
def test_dvc_repro_gives_the_same_lock_in_another_folder(index, tmp_path):
    pytest.importorskip("dvc")
    index.publish("tool", "1.0", {"tool-1.0/run.py": b"run = 1\n"})
    locks = []
    for name in ("here", "elsewhere"):
        copy = copy_of_the_project(tmp_path / name)
        dvc(copy, "repro", "corpus")
        locks.append((copy / "dvc.lock").read_bytes())
        assert json.loads((copy / "data" / "corpus" / "tool.json").read_text())["repo"] == "tool"

    assert locks[0] == locks[1]
    asked = len(index.requests)
    shutil.rmtree(copy / "data" / "corpus")
    dvc(copy, "repro", "corpus")  # restored from DVC's cache: nothing is fetched, nothing is run
    assert (copy / "data" / "corpus" / "tool.json").exists()
    assert len(index.requests) == asked


def copy_of_the_project(folder: Path) -> Path:
    shutil.copytree(PROJECT / "cia", folder / "cia", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    for name in ("dvc.yaml", ".dvcignore", "params.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    params = (folder / "params.yaml").read_text().replace("pypi:httpx==0.28.1", "pypi:tool==1.0")
    (folder / "params.yaml").write_text(params.replace("  - pypi:click==8.3.3\n", ""))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def dvc(folder: Path, *arguments: str) -> None:
    environment = os.environ | {"PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [BINARIES / "dvc", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
