"""A Dockerfile, read: its instructions by stage; and its build stage, run here without a container engine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = sorted(path.parent.name for path in (ROOT / "images").glob("*/Dockerfile"))


@dataclass(frozen=True)
class Instruction:
    """``stage`` counts the FROMs: 1 is the first."""

    stage: int
    name: str
    value: str


def instructions(image: str) -> list[Instruction]:
    """Return those of ``images/<image>/Dockerfile``, each on one line."""
    lines = (ROOT / "images" / image / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    stage, found = 0, []
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        name, _, value = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, value))
    return found


def copied_from_context(image: str) -> list[list[str]]:
    """Return the sources of each COPY that takes from the context, its target last."""
    copies = (shlex.split(one.value) for one in instructions(image) if one.name == "COPY")
    return [words for words in copies if not words[0].startswith("--from=")]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets ``path`` through: the last pattern that matches it, or a folder above it, decides."""
    kept = True
    parents = ["/".join(path.split("/")[: end + 1]) for end in range(path.count("/") + 1)]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        names = [one.rpartition("/")[2] for one in parents] if "**/" in line else parents
        if line and not line.startswith("#") and any(fnmatch(name, pattern) for name in names):
            kept = line.startswith("!")
    return kept


class PlainEnvironment:
    """A folder that stands for the root of the build stage, with a Python of its own and nothing installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "src"
        self.source.mkdir()
        subprocess.run([sys.executable, "-m", "venv", folder / "usr"], check=True)
        search = f"{folder}/usr/bin{os.pathsep}{os.environ['PATH']}"
        # As the stage has it, but without the copies and the bytecode of half a gigabyte.
        self.environment = {**os.environ, "PATH": search, "UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def build(self, image: str) -> None:
        """Do what the first stage of ``image`` does."""
        for one in instructions(image):
            if one.stage == 1 and one.name == "COPY":
                *sources, target = shlex.split(one.value)
                self._copy(sources, target)
            elif one.stage == 1 and one.name == "RUN":
                self.run(re.sub(r"--mount=\S+", "", one.value))

    def run(self, command: str) -> str:
        """Run a shell command in the source folder, with this folder's /opt, and return what it printed."""
        here = command.replace("/opt/", f"{self.folder}/opt/")
        done = subprocess.run(["sh", "-c", here], cwd=self.source, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout + done.stderr

    def _copy(self, sources: list[str], target: str) -> None:
        for source in sources:
            names = context_names() if source == "." else [source]
            for name in names:
                to = self.source / (name if source == "." or (ROOT / source).is_dir() else f"{target}/{Path(name).name}")
                to.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, to, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
                else:
                    shutil.copyfile(ROOT / name, to)


def context_names() -> list[str]:
    """Return what the context has at its top."""
    return sorted(path.name for path in ROOT.iterdir() if in_context(path.name))
