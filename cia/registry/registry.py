"""Versions of the adapter in MLflow: which there are, and which one is in Production.

Production is an alias on a version. Moving it is the promotion, moving it back the rollback, and that one step is atomic; the
tags beside it are for people. A version that failed the gate is registered too, so that its scores can be looked at.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cia.adapter import CONFIG, WEIGHTS, base_fingerprint, check_adapter
from cia.durable_files import exclusive
from cia.errors import AdapterError, BusyError, InputError, UnavailableError
from cia.registry.adapter_files import ARTIFACTS, LOCK_WAIT_SECONDS, AdapterFiles, holds, sha256_of
from cia.registry.canary import CANARY_ALIAS, LARGEST_PERCENT, Canary, Outcome, from_tags, tags_at_end, tags_at_start
from cia.registry.evaluation_files import EVALUATION_TAG, Evaluation, EvaluationFiles
from cia.registry.last_known import LastKnown
from cia.registry.mlflow_client import mlflow_errors, open_client, tracking_uri
from cia.registry.registered_adapter import CHECKSUM_TAG, LONGEST_TAG, SCORE_TAG, RegisteredAdapter, from_model_version
from cia.registry.training_run import start_run
from cia.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from cia.evaluation.gate import Decision


class Registry:
    """The registered adapters. Opening it costs nothing; MLflow is asked when a method is called.

    Every method raises UnavailableError when MLflow is away, but ``production`` and ``download`` then give what is known here.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model = settings.registry.model_name
        self._alias = settings.registry.alias
        self._uri = tracking_uri(settings)
        self._last_known = LastKnown(settings.home / "production.json")
        self._files = AdapterFiles(settings, lambda: self._client)
        self._evaluations = EvaluationFiles(settings, lambda: self._client)

    @cached_property
    def _client(self) -> MlflowClient:
        return open_client(self._settings)

    def register(
        self,
        adapter: Path,
        scores: Mapping[str, float],
        decision: Decision,
        base: str | Path,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        evaluation: Path | None = None,
    ) -> RegisteredAdapter:
        """Return the new version made of the adapter folder, trained on ``base``; it is not promoted.

        ``run_id`` is the training run that the files are kept with; without one a run is made. ``evaluation`` is a folder
        with the reports behind ``scores``, kept with them. Raises AdapterError for an adapter that vLLM would reject.
        """
        check_adapter(adapter, base, self._settings.serving.max_lora_rank)
        described = {
            "gate": "passed" if decision.promoted else "failed",
            "reason": decision.reason[:LONGEST_TAG],
            "base_model": str(base),
            "base_fingerprint": base_fingerprint(base),
            **{f"{CHECKSUM_TAG}{name}": sha256_of(adapter / name) for name in (CONFIG, WEIGHTS)},
            **{f"{SCORE_TAG}{name}": f"{value:.6f}" for name, value in scores.items() if math.isfinite(value)},
            **{name: value[:LONGEST_TAG] for name, value in (tags or {}).items()},
        }
        client = self._client
        run_id = run_id or start_run(client, self._settings, "registered", {"source": "adapter folder"})
        self._files.upload(run_id, adapter)
        if evaluation is not None:
            described[EVALUATION_TAG] = self._evaluations.upload(run_id, evaluation)
        self._ensure_model()
        with mlflow_errors(self._uri):
            source = f"runs:/{run_id}/{ARTIFACTS}"
            version = client.create_model_version(self._model, source=source, run_id=run_id, tags=described)
        return self._read(version, None)

    def list(self) -> list[RegisteredAdapter]:
        """Return all versions, newest first."""
        try:
            production = self._production_version()
            with mlflow_errors(self._uri):
                found = self._client.search_model_versions(f"name='{self._model}'")
        except LookupError:
            return []
        return sorted((self._read(version, production) for version in found), key=lambda adapter: -adapter.version)

    def get(self, version: int | str) -> RegisteredAdapter:
        """Return one version, given as 3, "3" or "code-assistant:3". Raises InputError when there is none such."""
        return self._get(self._number(version), self._production_version())

    def evaluation(self, version: int | str) -> Evaluation:
        """Return what a version was scored as, and against what. Raises InputError when it was registered without."""
        return self._evaluations.read(self.get(version))

    def aliases(self) -> dict[str, int]:
        """Return the version that each alias names: one short question, for whoever looks every second."""
        try:
            with mlflow_errors(self._uri):
                named = self._client.get_registered_model(self._model).aliases
        except LookupError:
            return {}
        return {alias: int(version) for alias, version in named.items()}

    def production(self) -> RegisteredAdapter | None:
        """Return the version in Production, or None. While MLflow is away: the last one known, with its ``age_seconds``.

        Raises UnavailableError when MLflow is away and none was ever known here.
        """
        try:
            adapter = self._production_now()
        except UnavailableError:
            known = self._last_known.recall()
            if known is None:
                raise
            return known
        self._last_known.remember(adapter)
        return adapter

    def promote(self, version: int | str, by: str = "", why: str = "", force: bool = False) -> RegisteredAdapter:
        """Put a version into Production and return it.

        Refuses (AdapterError) one that failed the gate, whose files are gone or damaged, or whose base model is not the
        one that Production runs on. ``force`` with a reason in ``why`` overrides the gate and the change of base, not the files.
        """
        if force and not why.strip():
            raise InputError("a forced promotion needs a reason: say why")
        with self._promoting():
            adapter, former = self.get(version), self._production_now()
            if not force:
                self._refuse_failed(adapter)
            if former and not force:
                self._refuse_another_base(adapter, former)
            self._check_files(adapter)
            if former is not None and former.version == adapter.version:
                return adapter
            tags = {"promoted_by": by, "promoted_why": why, "promoted_at": _now()}
            tags["previous_production"] = str(former.version) if former else ""
            return self._move_alias(adapter, former, tags)

    def rollback(self, by: str = "", why: str = "rolled back") -> RegisteredAdapter:
        """Put the version before the present one back into Production and return it. Raises InputError when there is none."""
        with self._promoting():
            present = self._production_now()
            if present is None or present.previous_production is None:
                raise InputError("there is no earlier version to go back to")
            adapter = self.get(present.previous_production)
            self._check_files(adapter)
            moved = self._move_alias(adapter, present, {"promoted_by": by, "promoted_why": why, "promoted_at": _now()})
            self._tag(present.version, {"rolled_back_by": by, "rolled_back_why": why, "rolled_back_at": _now()})
            return moved

    def canary(self) -> Canary | None:
        """Return the version on trial, or None. One that came into Production meanwhile is on trial no more."""
        aliases = self.aliases()
        number = aliases.get(CANARY_ALIAS)
        if number is None or number == aliases.get(self._alias):
            return None
        try:
            with mlflow_errors(self._uri):
                tags = self._client.get_model_version(self._model, str(number)).tags
        except LookupError:
            return None
        return from_tags(f"{self._model}:{number}", number, tags)

    def start_canary(self, version: int | str, percent: float, by: str, why: str = "", force: bool = False) -> Canary:
        """Put a version on trial with ``percent`` of the users; of one that is on trial, change the percent.

        Refuses (AdapterError) what ``promote`` would refuse, and (InputError) a second canary or one with nothing in
        Production to compare it with. ``force`` with a reason overrides the gate, nothing else.
        """
        if not 0 < percent <= LARGEST_PERCENT:
            raise InputError(f"a canary takes more than 0 and at most {LARGEST_PERCENT:g} percent of the users, not {percent:g}")
        if force and not why.strip():
            raise InputError("a forced canary needs a reason: say why")
        with self._promoting():
            adapter, production, present = self.get(version), self._production_now(), self.canary()
            if production is None or adapter.in_production:
                standing = "is in Production already" if production else "has nothing in Production to be compared with"
                raise InputError(f"{adapter.served_name} {standing}; a canary is another version beside the one in Production")
            if present and present.version != adapter.version:
                raise InputError(f"{present.served_name} is on trial; end that with `cia models canary finish` or `abort`")
            if not force:
                self._refuse_failed(adapter)
            self._refuse_another_base(adapter, production)
            self._check_files(adapter)
            self._tag(adapter.version, tags_at_start(percent, by, why, present.begun if present else None))
            with mlflow_errors(self._uri):
                self._client.set_registered_model_alias(self._model, CANARY_ALIAS, str(adapter.version))
            begun = self.canary()
        if begun is None or begun.version != adapter.version:
            raise BusyError("another canary was begun at the same time; look at `cia models canary status`")
        return begun

    def stop_canary(self, outcome: Outcome, by: str, why: str, expected: Canary | None = None) -> Canary | None:
        """End the trial and return it, or None when there is none, or none any more that ``expected`` is the trial of.

        The version keeps ``outcome`` and ``why`` as tags.
        """
        with self._promoting():
            canary = self.canary()
            if canary is None or (expected is not None and canary.trial != expected.trial):
                return None
            self._end_canary(canary.version, outcome, by, why)
            return canary

    def finish_canary(self, by: str, why: str = "") -> RegisteredAdapter:
        """Promote the version on trial, which ends the trial, and return it. Raises as ``promote`` does."""
        canary = self.canary()
        if canary is None:
            raise InputError("no version is on trial; `cia models canary start VERSION` begins")
        return self.promote(canary.version, by, why or f"its canary with {canary.percent:g} percent of the users held")

    def download(self, version: int | str, directory: Path) -> Path:
        """Make ``directory`` hold the files of a version, all or none, and return it. What is there already is left alone.

        Raises AdapterError when the registry has lost the files.
        """
        number = self._number(version)
        try:
            adapter = self.get(number)
        except UnavailableError:
            if holds(directory, number):
                return directory
            raise
        return directory if holds(directory, number, adapter.run_id) else self._files.download(adapter, directory)

    def fetch(self, version: int | str) -> Path:
        """Return the folder under CIA_HOME that holds a version, downloading it if need be."""
        number = self._number(version)
        return self.download(number, self._folder(number))

    def _check_files(self, adapter: RegisteredAdapter) -> None:
        """Look at the files that vLLM will fetch, which are those in the registry, and keep them here when they are good."""

        def check(folder: Path) -> None:
            check_adapter(folder, adapter.base_model, self._settings.serving.max_lora_rank)
            for name in (CONFIG, WEIGHTS):
                if adapter.checksums.get(name) not in (None, sha256_of(folder / name)):
                    raise AdapterError(f"{name} of {adapter.served_name} is not the file that was registered; train it again")

        self._files.download(adapter, self._folder(adapter.version), check)
        present = base_fingerprint(adapter.base_model)
        if present and adapter.base_fingerprint and present != adapter.base_fingerprint:
            raise AdapterError(
                f"{adapter.served_name} was trained on other weights than {adapter.base_model} now holds; train it again"
            )

    def _folder(self, version: int) -> Path:
        return self._settings.home / "adapters" / str(version)

    def _refuse_failed(self, adapter: RegisteredAdapter) -> None:
        if adapter.gate != "passed":
            raise AdapterError(f"{adapter.served_name} did not pass the gate ({adapter.reason}); train a better one")

    def _refuse_another_base(self, adapter: RegisteredAdapter, former: RegisteredAdapter) -> None:
        if adapter.base_model != former.base_model:
            raise AdapterError(
                f"{adapter.served_name} was trained on {adapter.base_model}, but Production runs on {former.base_model}; "
                "serve the new base first, then promote with force and a reason"
            )

    @contextlib.contextmanager
    def _promoting(self) -> Iterator[None]:
        with exclusive(self._settings.home / "promotion.lock", "promoting an adapter", LOCK_WAIT_SECONDS):
            yield

    def _move_alias(
        self, adapter: RegisteredAdapter, former: RegisteredAdapter | None, tags: Mapping[str, str]
    ) -> RegisteredAdapter:
        client, number = self._client, str(adapter.version)
        self._tag(adapter.version, tags)
        # The lock keeps others on this machine out. On a shared server only a look before and after can tell.
        if self._production_version() != (former.version if former else None):
            raise BusyError("another promotion came first; look at `cia models list` and try again")
        with mlflow_errors(self._uri):
            client.set_registered_model_alias(self._model, self._alias, number)
            client.set_model_version_tag(self._model, number, self._alias, "true")
        if former is not None:
            with contextlib.suppress(LookupError), mlflow_errors(self._uri):
                client.delete_model_version_tag(self._model, str(former.version), self._alias)
        moved = self.get(number)
        if not moved.in_production:
            raise BusyError("another promotion came at the same time and won; look at `cia models list`")
        tried = self.aliases().get(CANARY_ALIAS)
        if tried is not None and tried in (moved.version, former.version if former else None):
            self._end_canary(tried, "finished", tags["promoted_by"], tags["promoted_why"])
        self._last_known.remember(moved)
        return moved

    def _end_canary(self, version: int, outcome: Outcome, by: str, why: str) -> None:
        self._tag(version, tags_at_end(outcome, by, why))
        with contextlib.suppress(LookupError), mlflow_errors(self._uri):
            self._client.delete_registered_model_alias(self._model, CANARY_ALIAS)

    def _tag(self, version: int, tags: Mapping[str, str]) -> None:
        with mlflow_errors(self._uri):
            for name, value in tags.items():
                self._client.set_model_version_tag(self._model, str(version), name, value[:LONGEST_TAG])

    def _production_now(self) -> RegisteredAdapter | None:
        number = self._production_version()
        return self._get(number, number) if number is not None else None

    def _production_version(self) -> int | None:
        return self.aliases().get(self._alias)

    def _get(self, number: int, production: int | None) -> RegisteredAdapter:
        try:
            with mlflow_errors(self._uri):
                found = self._client.get_model_version(self._model, str(number))
        except LookupError:
            raise InputError(f"there is no {self._model}:{number}; `cia models list` shows what there is") from None
        return self._read(found, production)

    def _ensure_model(self) -> None:
        with contextlib.suppress(LookupError), mlflow_errors(self._uri):
            self._client.get_registered_model(self._model)
            return
        with (
            exclusive(self._settings.home / "mlflow.lock", "preparing the registry", LOCK_WAIT_SECONDS),
            mlflow_errors(self._uri),
        ):
            if not self._client.search_registered_models(f"name='{self._model}'"):
                self._client.create_registered_model(self._model)

    def _read(self, version: ModelVersion, production: int | None) -> RegisteredAdapter:
        return from_model_version(version, self._alias, production)

    def _number(self, version: int | str) -> int:
        text = str(version).removeprefix(f"{self._model}:")
        if not text.isdecimal():
            raise InputError(f"{version!r} is no version; give a number such as 3")
        return int(text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
