"""Follows the adapters in Production and on trial: asks the registry, has vLLM load them, and names one to whoever asks.

Nothing is downloaded here: vLLM fetches a version itself when it is named, and is made to before a user waits for it. Two
watchers, so that a registry that hangs does not keep vLLM from getting its adapter back after a restart. The registry being
away changes nothing: the last adapters known go on answering.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cia.errors import InputError, UnavailableError
from cia.registry.canary import CANARY_ALIAS, Canary
from cia.settings import Settings
from cia.vllm_client import VllmClient
from rag_server.adapters.followed import Followed
from rag_server.periodic import Periodic

if TYPE_CHECKING:
    from cia.registry import Registry

POLL_SECONDS = 1.0
REMEMBER_SECONDS = 60.0
"""An alias that stays is noted so often, for the time when the registry is away."""

Role = Literal["production", "canary"]


@dataclass(frozen=True, slots=True)
class Arm:
    """A version that answers, and as what. ``trial`` is the one under way, "" for none."""

    version: int
    role: Role
    trial: str


class ServedAdapters:
    """The adapters that answer. Without a model address there is nothing to follow, and nothing is started.

    The four ``_problem`` attributes say in a sentence what is wrong with the registry, the model, the newest adapter in
    Production, or the one on trial. ``registered_canary`` is the trial that the registry knows, ``canary`` the one that users
    are given.
    """

    def __init__(self, settings: Settings, log: Any) -> None:
        self.registry_problem = ""
        self.model_problem = ""
        self.adapter_problem = ""
        self.canary_problem = ""
        self._settings = settings
        self._log = log
        self._registry: Registry | None = None
        self._promoted: str | None = None
        self._remembered_at = -REMEMBER_SECONDS
        self._lost = ""
        self.registered_canary: Canary | None = None
        self._suspended = ""
        self._client = VllmClient(settings.model.base_url, settings.model) if settings.model.base_url else None
        self._production = Followed(self._resolve, keeps_the_last=True)
        self._on_trial = Followed(self._resolve, keeps_the_last=False)
        self._watchers = (
            Periodic("adapter-aliases", POLL_SECONDS, self.follow_registry),
            Periodic("adapter-loader", POLL_SECONDS, self.keep_loaded),
        )

    def name(self, user: str = "") -> str | None:
        """Return ``code-assistant:VERSION`` for ``user``, or None while there is none: what ``Assistant`` asks for an answer."""
        canary = self.canary
        if canary is not None and canary.answers(user):
            return canary.served_name
        if self._production.served is None and self.model_problem:
            return self._promoted  # an answer then says that the model is away, not that no adapter is promoted
        return self._production.served

    @property
    def canary(self) -> Canary | None:
        """The trial under way, while vLLM has its adapter and it was not taken back."""
        canary = self.registered_canary
        if canary is None or canary.trial == self._suspended or canary.served_name != self._on_trial.served:
            return None
        return canary

    def arm_of(self, name: str) -> Arm | None:
        """Return what an answer of the model ``name`` counts for; None for one that is no version, such as the base model."""
        canary = self.canary
        if not (version := _version_of(name, self._settings.registry.model_name)):
            return None
        is_canary = canary is not None and canary.version == version
        return Arm(version, "canary" if is_canary else "production", canary.trial if canary else "")

    def serving(self) -> dict[str, int]:
        """Return the versions that answer now, by role."""
        names = {"production": self.name(), "canary": self.canary.served_name if self.canary else None}
        model = self._settings.registry.model_name
        return {role: version for role, name in names.items() if (version := _version_of(name or "", model))}

    def suspend(self, canary: Canary) -> bool:
        """Give the users of this trial Production from now on, although the registry knows it yet; whether that is news."""
        is_news, self._suspended = self._suspended != canary.trial, canary.trial
        return is_news

    def registry(self) -> Registry:
        """Return the registry that is followed."""
        if self._registry is None:
            from cia.registry import Registry

            self._registry = Registry(self._settings)
        return self._registry

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
        """Learn which versions are promoted and on trial. Never raises."""
        try:
            problem = self._look()
        except Exception as error:  # MLflow's own errors and those of what lies below it
            problem = " ".join(str(error).split())[:300] or type(error).__name__
        self.registry_problem = self._changed("registry", self.registry_problem, problem)

    def keep_loaded(self) -> None:
        """Have vLLM serve them; also after a restart, when it has forgotten. Never raises."""
        assert self._client is not None
        try:
            listed = self._client.models()
        except UnavailableError as error:
            self.model_problem = self._changed("model", self.model_problem, str(error))
            return
        if self.model_problem:
            self._production.try_at_once()
            self._on_trial.try_at_once()
        former = self.serving()
        canary = self.registered_canary
        self._production.follow(self._promoted, listed)
        self._on_trial.follow(canary.served_name if canary else None, listed)
        self.model_problem = self._changed("model", self.model_problem, "")
        self.adapter_problem = self._changed("adapter", self.adapter_problem, self._explained(self._production))
        self.canary_problem = self._changed("canary", self.canary_problem, self._on_trial.problem)
        if (now := self.serving()) != former:
            self._log.info("adapters", **now)

    def _look(self) -> str:
        """Take note of the aliases, and return what is wrong: the registry answers from memory while MLflow is away."""
        registry = self.registry()
        try:
            aliases = registry.aliases()
        except UnavailableError as error:
            if self._promoted is None and (known := registry.production()):
                self._promoted = known.served_name
            if self._promoted is None:
                return str(error)
            return f"away; {self._promoted} was in Production when last seen"
        self._take_production(registry, aliases.get(self._settings.registry.alias))
        self.registered_canary = registry.canary() if CANARY_ALIAS in aliases else None
        return ""

    def _take_production(self, registry: Registry, number: int | None) -> None:
        promoted = f"{self._settings.registry.model_name}:{number}" if number is not None else None
        if promoted == self._promoted and time.monotonic() - self._remembered_at < REMEMBER_SECONDS:
            return
        if promoted is None and self._promoted is not None and _is_deleted(registry, self._promoted):
            self._lost = f"{self._promoted} was deleted from the registry; it answers for as long as vLLM has it"
            return
        self._promoted, self._lost = promoted, ""
        registry.production()  # which remembers it, for the time when the registry is away
        self._remembered_at = time.monotonic()

    def _explained(self, production: Followed) -> str:
        if not production.problem:
            return self._lost
        kept = f"{production.served} goes on answering" if production.served else "no version answers"
        return f"{self._promoted} cannot be served ({production.problem}); {kept}"

    def _resolve(self, name: str) -> None:
        assert self._client is not None
        self._client.resolve(name)

    def _changed(self, subject: str, former: str, problem: str) -> str:
        if problem != former:
            self._log.warning(subject, problem=problem or "over")
        return problem


def _is_deleted(registry: Registry, name: str) -> bool:
    try:
        registry.get(name)
    except InputError:
        return True
    return False


def _version_of(name: str, model: str) -> int:
    """The version in ``code-assistant:7``; 0 for anything else."""
    registered, _, version = name.partition(":")
    return int(version) if registered == model and version.isdecimal() else 0
