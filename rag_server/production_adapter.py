"""Follows the adapter in Production: asks the registry, has vLLM serve it, and names it to whoever asks a question.

Two watchers, so that a registry that hangs does not keep vLLM from getting its adapter back after a restart. The registry
being away changes nothing: the last adapter known goes on answering.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cia.errors import AdapterError, UnavailableError
from cia.settings import Settings
from cia.vllm_client import VllmClient
from rag_server.periodic import Periodic

if TYPE_CHECKING:
    from cia.registry import Registry

POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter under the name that vLLM serves it by (``code-assistant:3``), and the folder it lies in."""

    name: str
    folder: Path


class ProductionAdapter:
    """The adapter that answers. Without a model address there is nothing to follow, and nothing is started.

    The three ``_problem`` attributes say in a sentence what is wrong with the registry, the model or the newest adapter.
    """

    def __init__(self, settings: Settings, log: Any) -> None:
        self.registry_problem = ""
        self.model_problem = ""
        self.adapter_problem = ""
        self._settings = settings
        self._log = log
        self._registry: Registry | None = None
        self._promoted: Adapter | None = None
        self._serving: Adapter | None = None
        self._client = VllmClient(settings.model.base_url, settings.model) if settings.model.base_url else None
        self._watchers = (
            Periodic("production-alias", POLL_SECONDS, self.follow_registry),
            Periodic("adapter-loader", POLL_SECONDS, self.keep_loaded),
        )

    def name(self) -> str | None:
        """Return ``code-assistant:VERSION``, or None while there is none: what ``Assistant`` asks before each answer."""
        return self._serving.name if self._serving else None

    def start(self) -> None:
        """Begin to watch, if there is a model."""
        if self._client is not None:
            for watcher in self._watchers:
                watcher.start()

    def stop(self) -> None:
        """Stop watching."""
        for watcher in self._watchers:
            watcher.stop()

    def follow_registry(self) -> None:
        """Learn which version is promoted, and fetch it if it is new. Never raises."""
        try:
            self._promoted, problem = self._fetch_promoted()
        except Exception as error:  # MLflow's own errors and those of what lies below it
            problem = " ".join(str(error).split())[:300] or type(error).__name__
        self.registry_problem = self._changed("registry", self.registry_problem, problem)

    def keep_loaded(self) -> None:
        """Have vLLM serve the promoted version; also after a restart, when it has forgotten. Never raises."""
        assert self._client is not None
        adapter = self._promoted
        away = refused = ""
        try:
            if adapter is None:
                self._client.models()
            else:
                self._client.load_adapter(adapter.name, adapter.folder)
        except UnavailableError as error:
            away = str(error)
        except AdapterError as error:
            refused = str(error)
        if not refused and adapter != self._serving:
            # Also while the model is away: then an answer says so, instead of saying that no adapter is promoted.
            self._log.info("adapter in production", name=adapter.name if adapter else "none")
            self._serving = adapter
        self.model_problem = self._changed("model", self.model_problem, away)
        self.adapter_problem = self._changed("adapter", self.adapter_problem, refused)

    def _fetch_promoted(self) -> tuple[Adapter | None, str]:
        """The promoted adapter, and what is wrong: the registry answers from memory while MLflow is away."""
        if self._registry is None:
            from cia.registry import Registry

            self._registry = Registry(self._settings)
        version = self._registry.production()
        if version is None:
            return None, ""
        problem = f"away; {version.served_name} was in Production when last seen" if version.age_seconds else ""
        if self._promoted is not None and self._promoted.name == version.served_name:
            return self._promoted, problem
        return Adapter(version.served_name, self._registry.fetch(version.version)), problem

    def _changed(self, subject: str, former: str, problem: str) -> str:
        if problem != former:
            self._log.warning(subject, problem=problem or "over")
        return problem
