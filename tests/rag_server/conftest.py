"""A small repository, indexed once, and the server over it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from structlog.testing import CapturingLogger

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.retrieval import Indexer
from cia.settings import Settings, load_settings
from rag_server.app import create_app
from tests.rag_server.running_server import AS_ADMIN, UNHURRIED, Server, with_administrator, with_model
from tests.rag_server.stand_in_model import StandInModel, running_stand_in
from tests.rag_server.tiny_adapter import make_adapter, make_base

PASSED = Decision(True, "promoted: citation_recall gained")
FAILED = Decision(False, "refused: citation_recall gained too little")

WICK = '''"""Wicks for lanterns."""

import math

LONGEST_WICK_MM = 120


class Wick:
    """A cotton wick of a length in millimetres."""

    def __init__(self, length: float) -> None:
        self.length = length

    def trim(self, length: float) -> float:
        """Trim the wick by ``length`` millimetres and return what is left of it."""
        self.length = max(0.0, self.length - length)
        return self.length

    def brightness(self) -> float:
        """Return how bright the wick burns, in lumens."""
        return math.sqrt(self.length) * 3
'''

HOSTILE = '''"""Notices <img src=x onerror="document.title='pwned'"> and </script><script>document.title='pwned'</script>."""


def hostile_banner() -> str:
    """Return the hostile banner <img src=x onerror=document.title='pwned'> <b>bold</b> as it is."""
    # [click](javascript:document.title='pwned') <svg onload=document.title='pwned'>
    return "</script><script>document.title='pwned'</script><img src=x onerror=document.title='pwned'>"
'''


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose home holds the index of ``lantern``, a repository of three files. Shared: tests only read it."""
    folder = tmp_path_factory.mktemp("rag_server")
    lantern = folder / "lantern"
    (lantern / "src" / "deep").mkdir(parents=True)
    (lantern / "src" / "wick.py").write_text(WICK)
    (lantern / "src" / "deep" / "hostile <b>.py").write_text(HOSTILE)
    (lantern / "README.md").write_text("# Lantern\n\nA lantern burns oil with a wick.\n")
    settings = load_settings(environment={"CIA_HOME": str(folder / "home"), **UNHURRIED})
    Indexer(settings).index(str(lantern))
    return settings


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Start an application over settings; it ends with the test."""
    with contextlib.ExitStack() as running:

        def begin(settings: Settings, **options: Any) -> Server:
            captured = CapturingLogger()
            log = structlog.wrap_logger(captured, processors=[structlog.processors.JSONRenderer()])
            app = create_app(with_administrator(settings), log=log, **options)
            client = TestClient(app, base_url="http://127.0.0.1", headers=AS_ADMIN, raise_server_exceptions=False)
            return Server(running.enter_context(client), captured)

        yield begin


@pytest.fixture
def server(start: Callable[..., Server], indexed: Settings) -> Server:
    """The application over ``lantern``, without a model."""
    return start(indexed)


@pytest.fixture
def stand_in_model() -> Iterator[StandInModel]:
    """A model server under the test's control."""
    with running_stand_in() as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A registry with four versions, the first one in Production; the last one failed the gate. Shared: tests only copy it."""
    folder = tmp_path_factory.mktemp("registered")
    settings = Settings(home=folder / "home")
    base = make_base(folder / "base")
    registry = Registry(settings)
    for seed, verdict in enumerate((PASSED, PASSED, PASSED, FAILED)):
        registry.register(make_adapter(folder / f"adapter-{seed}", base, seed), {"faithfulness": 0.9}, verdict, base)
    registry.promote(1)
    return settings


@pytest.fixture
def promoted(registered: Settings, tmp_path: Path) -> Settings:
    """A home of its own with that registry."""
    home = tmp_path / "promoted"
    home.mkdir()
    (home / "mlflow.db").write_bytes((registered.home / "mlflow.db").read_bytes())
    return Settings(home=home)


@pytest.fixture
def followed(indexed: Settings, promoted: Settings, stand_in_model: StandInModel) -> Settings:
    """What a server over ``lantern`` needs to follow that registry, with a model under the test's control."""
    tracking = indexed.registry.model_copy(update={"tracking_uri": f"sqlite:///{promoted.home / 'mlflow.db'}"})
    return with_model(indexed, stand_in_model.base_url).model_copy(update={"registry": tracking})


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The interpreter of vLLM's environment; skips where there is none."""
    python = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
    if not python.exists():
        pytest.skip("vLLM's environment is not installed (make setup)")
    return python
