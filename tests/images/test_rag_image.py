"""The build stage of the RAG server's image, run for real in a plain environment; then what it installed answers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.images.dockerfile import PlainEnvironment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> PlainEnvironment:
    environment = PlainEnvironment(tmp_path_factory.mktemp("image"))
    environment.build("rag_server")
    return environment


@pytest.fixture
def variables(image: PlainEnvironment, tmp_path: Path) -> dict[str, str]:
    """What the last stage and the pod set."""
    opt = image.folder / "opt"
    search = f"{opt}/code-assistant/bin{os.pathsep}{opt}/venv/bin{os.pathsep}{os.defpath}"
    return {"PATH": search, "PYTHONPATH": f"{opt}/code-assistant", "HOME": str(tmp_path), "CIA_HOME": str(tmp_path / "home")}


def run(variables: dict[str, str], *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    folder = variables["HOME"]
    return subprocess.run(command, env=variables | more, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.fixture
def server(variables: dict[str, str], tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address and the administrator's key of the image's server over an indexed folder."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "refunds.py").write_text(
        'def round_refund(cents):\n    """Round a refund down."""\n    return cents // 1\n'
    )
    assert run(variables, "cia", "index", "shop").returncode == 0
    process = subprocess.Popen(
        ["cia", "serve", "--port", "0"], env=variables, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout
        said = "".join(process.stdout.readline() for _ in range(3))
        yield re.findall(r"http://127\.0\.0\.1:\d+", said)[0], re.findall(r"cia_\w+", said)[0]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)


def test_the_image_answers_with_a_citation(server: tuple[str, str]) -> None:
    address, key = server
    reply = httpx.post(
        f"{address}/v1/ask",
        json={"question": "How is a refund rounded?"},
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    )
    assert [one["file_path"] for one in reply.raise_for_status().json()["citations"]] == ["refunds.py"]
    assert httpx.get(f"{address}/metrics").status_code == 200


def test_the_image_reads_a_registry_that_is_a_server_and_has_no_pytorch(variables: dict[str, str]) -> None:
    asked = run(variables, "cia", "models", "list", CIA_REGISTRY__TRACKING_URI="http://127.0.0.1:9")
    assert "the registry at http://127.0.0.1:9 does not answer" in asked.stderr
    assert run(variables, "python", "-c", "import torch").returncode == 1


def test_the_image_starts_with_the_clusters_settings(variables: dict[str, str]) -> None:
    script = "import json; from cia.settings import load_settings; print(json.dumps(load_settings().rag.host))"
    loaded = run(variables, "python", "-c", script, CIA_PROFILE="cluster")
    assert json.loads(loaded.stdout) == "0.0.0.0", loaded.stderr
