"""Build the images that run in a cluster, and push them: ``python images/build.py [--push-to registry.example/team]``.

Needs docker, podman or buildah and the Python that is there, nothing else. Pushed, it prints the settings that name the images
by their digests: put them into your ``params.cluster.yaml``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("docker", "podman", "buildah")

IMAGES = {
    "pipeline": "code-assistant-pipeline",
    "training": "code-assistant-trainer",
    "vllm": "code-assistant-vllm",
    "rag_server": "code-assistant-rag",
}
"""Folder of the Dockerfile, and the name of the image."""

SETTINGS = {
    "pipeline": ("pipeline.image", "inference_services.weights.image"),
    "training": ("training.image",),
    "vllm": ("inference_services.image",),
    "rag_server": ("cluster.rag_server.image",),
}
"""The settings that name an image."""

PASSED_ON = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")
"""Where packages come from, when these are set."""


def main(arguments: list[str] | None = None) -> int:
    """Build, and push when asked to; returns the exit code."""
    options = _options()
    asked = options.parse_args(arguments)
    if unknown := set(asked.images) - set(IMAGES):
        options.error(f"there is no image {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")
    engine = asked.engine or next(filter(shutil.which, ENGINES), None)
    if engine is None:
        print(f"error: none of {', '.join(ENGINES)} is here; install one, or name yours with --engine", file=sys.stderr)
        return 1
    pushed = {}
    for image in asked.images or IMAGES:
        name = f"{IMAGES[image]}:{asked.tag}"
        reference = f"{asked.push_to.rstrip('/')}/{name}" if asked.push_to else name
        try:
            build(engine, image, reference, asked.tag, asked.mirror)
            if asked.push_to:
                pushed[image] = push(engine, reference)
        except subprocess.CalledProcessError as error:
            print(f"error: {engine} {error.cmd[1]} of {reference} failed; what it printed above says why", file=sys.stderr)
            return 1
    print(overlay(pushed), end="")
    return 0


def build(engine: str, image: str, reference: str, version: str, mirror: str = "") -> None:
    """Build one image. Raises CalledProcessError when the engine fails."""
    given = [f"VERSION={version}", f"MIRROR={mirror}", *filter(os.environ.__contains__, PASSED_ON)]
    built_from = ROOT / "images" / image / "Dockerfile"
    options = [f"--build-arg={one}" for one in given]
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    # Standard output is for the settings alone.
    command = [engine, "build", f"--file={built_from}", f"--tag={reference}", *options, str(ROOT)]
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)


def push(engine: str, reference: str) -> str:
    """Push an image and return its name with the digest that the registry knows it by. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        digest_file = Path(folder) / "digest"
        if Path(engine).name == "docker":
            subprocess.run([engine, "push", reference], check=True, stdout=sys.stderr)
            wanted = "{{range .RepoDigests}}{{println .}}{{end}}"
            asked = [engine, "image", "inspect", f"--format={wanted}", reference]
            known = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
            digest = next(name.partition("@")[2] for name in known if name.startswith(f"{_without_tag(reference)}@"))
        else:
            subprocess.run([engine, "push", f"--digestfile={digest_file}", reference], check=True, stdout=sys.stderr)
            digest = digest_file.read_text(encoding="utf-8").strip()
    return f"{_without_tag(reference)}@{digest}"


def overlay(pushed: dict[str, str]) -> str:
    """Return the settings, as YAML, that name the pushed images."""
    tree: dict[str, Any] = {}
    for image, reference in pushed.items():
        for setting in SETTINGS[image]:
            *sections, key = setting.split(".")
            place = tree
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = reference
    return _yaml(tree)


def _yaml(tree: dict[str, Any], indent: str = "") -> str:
    """Nested sections of plain names: the whole of YAML would want a package."""
    lines = (
        f"{indent}{key}:\n{_yaml(value, indent + '  ')}" if isinstance(value, dict) else f"{indent}{key}: {value}\n"
        for key, value in tree.items()
    )
    return "".join(lines)


def _without_tag(reference: str) -> str:
    """Without the tag: the last colon, unless it is that of the registry's port."""
    path, colon, tag = reference.rpartition(":")
    return path if colon and "/" not in tag else reference


def project_version() -> str:
    """Return the version in pyproject.toml, which is the images' default tag."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="images/build.py", description="Build the images that run in a cluster.")
    parser.add_argument("images", nargs="*", help=f"which; default: all of {', '.join(IMAGES)}", metavar="IMAGE")
    parser.add_argument("--push-to", default="", metavar="PREFIX", help="push there: a registry, and a path in it")
    parser.add_argument("--tag", default=project_version(), help="default: the project's version")
    parser.add_argument("--mirror", default="", metavar="PREFIX/", help="put before the images that these are built on")
    parser.add_argument("--engine", help=f"default: the first of {', '.join(ENGINES)} that is here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
