"""`make images` with an engine that only writes down what it is told: there is none here that builds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from cia.settings import Settings
from images.build import IMAGES, main

DIGEST = f"sha256:{'0123456789abcdef' * 4}"

STAND_IN = """#!/bin/sh
echo "$@" >> "$0.log"
case "$1" in build|push) echo "STEP 1/9" ;; esac
case "$*" in
  *FAILING*) echo "no space left on device" >&2; exit 1 ;;
  "image inspect"*) for name; do :; done; echo "elsewhere/other@sha256:1"; echo "${name%:*}@DIGEST" ;;
esac
for option; do case "$option" in --digestfile=*) printf DIGEST > "${option#*=}" ;; esac; done
"""
"""It knows the digest of what it is asked about, and fails at whatever mentions FAILING."""


@pytest.fixture
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A stand-in by the name that the test asks for; its log lies beside it."""
    name, failing = getattr(request, "param", ("docker", "nothing"))
    path = tmp_path / name
    path.write_text(STAND_IN.replace("FAILING", failing).replace("DIGEST", DIGEST))
    path.chmod(0o755)
    return path


def told(engine: Path) -> list[str]:
    return engine.with_name(f"{engine.name}.log").read_text().splitlines()


def test_every_image_is_built_from_the_root_with_its_version(engine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"--engine={engine}", "--tag=7.1"]) == 0
    assert len(told(engine)) == len(IMAGES)
    for line, (folder, name) in zip(told(engine), IMAGES.items(), strict=True):
        assert f"images/{folder}/Dockerfile --tag={name}:7.1 " in line
        assert "--build-arg=VERSION=7.1" in line
        assert line.endswith(str(Path(__file__).resolve().parents[2]))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("engine", [("docker", "nothing"), ("podman", "nothing"), ("buildah", "nothing")], indirect=True)
def test_pushed_images_are_named_by_digest_in_settings_that_load(engine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"--engine={engine}", "--push-to=registry.example:5000/team", "--tag=7.1"]) == 0
    settings = Settings.model_validate(yaml.safe_load(capfd.readouterr().out))
    assert settings.pipeline.image == f"registry.example:5000/team/code-assistant-pipeline@{DIGEST}"
    assert settings.inference_services.weights.image == settings.pipeline.image
    assert settings.cluster.rag_server.image == f"registry.example:5000/team/code-assistant-rag@{DIGEST}"
    assert settings.cluster.image(settings.training.image) == settings.training.image


def test_packages_come_from_the_index_that_the_environment_names(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    main([f"--engine={engine}", "pipeline", "--mirror=mirror.example/"])
    (line,) = told(engine)
    assert "--build-arg=PIP_INDEX_URL " in line
    assert "UV_DEFAULT_INDEX" not in line
    assert "--build-arg=MIRROR=mirror.example/" in line


@pytest.mark.parametrize("engine", [("docker", "code-assistant-vllm")], indirect=True)
def test_a_failed_build_ends_with_a_sentence(engine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"--engine={engine}"]) == 1
    assert "build of code-assistant-vllm:" in capfd.readouterr().err


def test_without_an_engine_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")
    assert main([]) == 1
    assert "docker, podman, buildah" in capfd.readouterr().err
