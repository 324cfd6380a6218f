"""A real registry with versions in it, and the resolver over it, with a stand-in for the server that vLLM would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.registry.mlflow_client import tracking_uri
from cia.settings import Settings, load_settings
from code_assistant_lora_resolver.adapters import Adapters, Deployment
from code_assistant_lora_resolver.plugin_settings import PluginSettings
from tests.rag_server.tiny_adapter import make_adapter, make_base


@dataclass
class StandInServer:
    """Says of adapters what it was told: ``in_use``, ``looks``; keeps what was unloaded."""

    in_use: set[str] = field(default_factory=set)
    looks: dict[str, float] = field(default_factory=dict)
    unloaded: list[str] = field(default_factory=list)

    def uses(self, name: str) -> bool:
        return name in self.in_use

    def last_use(self, name: str) -> float:
        return self.looks.get(name, 0.0)

    async def unload(self, name: str) -> None:
        self.unloaded.append(name)


@dataclass
class Registered:
    """A registry in a SQLite file, and the base model of its adapters."""

    settings: Settings
    base: Path
    folder: Path
    made: int = 0

    @property
    def uri(self) -> str:
        return tracking_uri(self.settings)

    def register(self, change: Callable[[Path], None] | None = None) -> int:
        """Return the number of a new version; ``change`` alters its files after they were registered."""
        self.made += 1
        adapter = make_adapter(self.folder / f"adapter-{self.made}", self.base, self.made)
        registry = Registry(self.settings)
        version = registry.register(adapter, {}, Decision(True, "better"), self.base)
        if change is not None:
            change(
                self.settings.home / "mlartifacts" / self.settings.registry.experiment / version.run_id / "artifacts" / "adapter"
            )
        return version.version


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Registered:
    """One registry for all tests; each registers the versions that it needs."""
    folder = tmp_path_factory.mktemp("registered")
    settings = load_settings(environment={"CIA_HOME": str(folder / "home")})
    return Registered(settings, make_base(folder / "base"), folder)


@pytest.fixture
def server() -> StandInServer:
    return StandInServer()


@pytest.fixture
def deployment(server: StandInServer) -> Deployment:
    """A vLLM that finds nothing wrong with any adapter."""
    return Deployment(server, lambda name, folder: None)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def open_adapters(registered: Registered, cache: Path) -> Iterator[Callable[..., Adapters]]:
    """Return the resolver's ``Adapters`` over the registry, as a vLLM that starts would have them."""

    def open_them(uri: str = "", versions: int = 4, bytes: int = 1 << 20, folder: Path = cache) -> Adapters:
        return Adapters(PluginSettings(uri or registered.uri, "code-assistant", folder, versions, bytes, base_models=frozenset()))

    return open_them
