"""What can be known of the images without a container engine."""

from __future__ import annotations

import json
import operator
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cia.settings import Settings
from images.build import IMAGES as BUILT
from images.build import SETTINGS, project_version
from tests.images.dockerfile import IMAGES, ROOT, copied_from_context, in_context, instructions

SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)", re.IGNORECASE)


@pytest.mark.parametrize("image", IMAGES)
def test_hadolint_finds_nothing(image: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    asked = [hadolint, "--format=json", ROOT / "images" / image / "Dockerfile"]
    found = json.loads(subprocess.run(asked, capture_output=True, text=True).stdout)
    assert found == []


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_user_whose_number_kubernetes_sees(image: str) -> None:
    assert [one.value for one in instructions(image) if one.name == "USER"][-1] == "1000:1000"


def test_all_images_stand_on_the_same_pinned_python_from_whatever_registry_a_mirror_names() -> None:
    bases = {one.value.split(" AS ")[0] for image in IMAGES for one in instructions(image) if one.name == "FROM"}
    (base,) = bases
    assert re.fullmatch(r"\$\{MIRROR\}python:3\.11\.\d+-slim-bookworm", base)


@pytest.mark.parametrize("image", IMAGES)
def test_the_last_stage_has_no_build_tools_and_no_cache(image: str) -> None:
    last = [one for one in instructions(image) if one.stage == 2]
    assert {one.value.split()[0] for one in last if one.name == "COPY"} == {"--from=build"}
    assert not any(re.search(r"\b(pip|uv)\b", one.value) for one in last if one.name == "RUN")


@pytest.mark.parametrize("image", IMAGES)
def test_no_instruction_names_a_secret(image: str) -> None:
    assert [one for one in instructions(image) if one.name in ("ARG", "ENV") and SECRET.search(one.value)] == []


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_is_there_and_in_the_context(image: str) -> None:
    for *sources, _ in copied_from_context(image):
        for source in sources:
            assert source == "." or ((ROOT / source).exists() and in_context(source)), source


def test_the_context_has_every_package_of_the_project_and_no_tests_history_or_state() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert [name for name in (*project["packages"], *project["force-include"], "README.md") if not in_context(name)] == []
    outside = (".git", ".cia", ".venv", "tests", "benchmarks", "notebooks", "data", "cia/__pycache__", "images/build.py", ".env")
    assert [name for name in outside if in_context(name)] == []


@pytest.mark.parametrize(("image", "setting"), [(image, setting) for image in SETTINGS for setting in SETTINGS[image]])
def test_the_settings_name_the_images_that_are_built(image: str, setting: str) -> None:
    assert operator.attrgetter(setting)(Settings()) == f"{BUILT[image]}:{project_version()}"


def test_every_dockerfile_is_built() -> None:
    assert sorted(BUILT) == sorted(SETTINGS) == IMAGES


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_labelled_with_its_name(image: str) -> None:
    (label,) = (one.value for one in instructions(image) if one.name == "LABEL")
    assert f'image.title="{BUILT[image]}"' in label
