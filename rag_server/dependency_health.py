"""Whether the neighbours answer, asked in the background, so that a probe of ``/readyz`` never costs anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cia.errors import CiaError
from cia.retrieval import Retriever
from cia.settings import Settings
from rag_server.adapters import CanaryTrial, ServedAdapters
from rag_server.metrics import Metrics
from rag_server.periodic import Periodic

CHECK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Dependency:
    """A neighbour: ``state`` is ok, away or off; ``detail`` says what that means in a sentence."""

    name: str
    state: str
    detail: str


class DependencyHealth:
    """The last known state of the index, the model, the registry and the tracing."""

    def __init__(
        self,
        settings: Settings,
        retriever: Retriever,
        adapters: ServedAdapters,
        trial: CanaryTrial,
        tracing_on: bool,
        metrics: Metrics,
        log: Any,
    ) -> None:
        self._settings = settings
        self._retriever = retriever
        self._adapters = adapters
        self._trial = trial
        self._tracing_on = tracing_on
        self._metrics = metrics
        self._log = log
        self._known: tuple[Dependency, ...] = ()
        self._watch = Periodic("dependency-health", CHECK_SECONDS, self.check)

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """What the last check found; empty before the first one."""
        return self._known

    @property
    def is_ready(self) -> bool:
        """Only the index is needed: every other neighbour can be done without."""
        return any(dependency.name == "index" and dependency.state == "ok" for dependency in self._known)

    def start(self) -> None:
        """Check once, then go on in the background."""
        self._watch.start()

    def stop(self) -> None:
        """Stop checking."""
        self._watch.stop()

    def check(self) -> None:
        """Ask every neighbour once; never raises."""
        found = (self._index(), self._model(), self._registry(), self._tracing())
        self._metrics.adapters(self._adapters.serving(), bool(self._adapters.adapter_problem))
        former = {dependency.name: dependency.state for dependency in self._known}
        for dependency in found:
            if dependency.state != "off":  # what was never asked for is not missing
                self._metrics.dependency(dependency.name, dependency.state == "ok")
            if former.get(dependency.name, dependency.state) != dependency.state:
                self._log.warning("dependency", name=dependency.name, state=dependency.state, detail=dependency.detail)
        self._known = found

    def _index(self) -> Dependency:
        try:
            repositories = self._retriever.repositories()
        except CiaError as error:
            return Dependency("index", "away", str(error))
        except Exception as error:  # the store's own client
            return Dependency("index", "away", type(error).__name__)
        self._metrics.index([repository.indexed_at for repository in repositories])
        if not repositories:
            return Dependency("index", "away", "nothing is indexed yet; `cia index SOURCE` adds a repository")
        return Dependency("index", "ok", "answers")  # how much there is, is for those who may read it

    def _model(self) -> Dependency:
        if self._settings.model.base_url is None:
            return Dependency("model", "off", "model.base_url is not set: answers are extractive")
        if problem := self._adapters.model_problem:
            return Dependency("model", "away", f"{problem}; answers are extractive")
        said = [self._adapters.name() or self._fallback()]
        if canary := self._adapters.canary:
            said.append(f"{canary.served_name} is on trial with {canary.percent:g}% of the users")
        said += filter(None, (self._adapters.adapter_problem, self._adapters.canary_problem, self._trial.declared_problem))
        return Dependency("model", "ok", "; ".join(said))

    def _fallback(self) -> str:
        if self._settings.answering.use_base_model:
            return f"{self._settings.model.base_model}, as no adapter is in Production"
        return "no adapter is in Production: answers are extractive"

    def _registry(self) -> Dependency:
        if self._settings.model.base_url is None:
            return Dependency("registry", "off", "without a model there is no adapter to follow")
        if problem := self._adapters.registry_problem:
            return Dependency("registry", "away", f"{problem}; the last known adapter stays")
        return Dependency("registry", "ok", "answers")

    def _tracing(self) -> Dependency:
        if self._tracing_on:
            return Dependency("tracing", "ok", "traces are sent in the background")
        return Dependency("tracing", "off", "neither the Langfuse keys nor tracing.otlp_endpoint are set")
